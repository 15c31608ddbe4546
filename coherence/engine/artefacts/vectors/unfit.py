"""Why a vector file cannot be used."""

from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL

from coherence.errors import first_line


class UnfitError(Exception):
    """Why a file cannot be used, without its name."""


@contextmanager
def whole(kind: str) -> Iterator[None]:
    """Say what a library raises while it reads a file as an UnfitError; what the disk raises stays."""
    try:
        yield
    except UnfitError:
        raise
    except Exception as problem:  # what a spoiled file makes a library raise is not written down anywhere
        # A library that follows a spoiled offset asks the system for what makes no sense.
        if isinstance(problem, OSError) and problem.errno not in (None, EINVAL):
            raise
        raise UnfitError(f"it is not a whole {kind} file: {first_line(problem)}") from problem
