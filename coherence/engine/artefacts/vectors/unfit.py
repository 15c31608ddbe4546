"""Why a vector file cannot be used."""

from collections.abc import Iterator
from contextlib import contextmanager

from coherence.errors import first_line


class UnfitError(Exception):
    """Why a file cannot be used, without its name."""


@contextmanager
def whole(kind: str) -> Iterator[None]:
    """Say whatever a library raises while it reads a file as an UnfitError; an OSError stays one."""
    try:
        yield
    except (UnfitError, OSError):
        raise
    except Exception as problem:  # what a spoiled file makes a library raise is not written down anywhere
        raise UnfitError(f"it is not a whole {kind} file: {first_line(problem)}") from problem
