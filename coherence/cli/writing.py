"""What commands say of a file that cannot be written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coherence.errors import CoherenceError, Place


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Write a file inside; what is in the way of that is a CoherenceError with its name."""
    try:
        yield
    except OSError as problem:
        raise CoherenceError(f"cannot be written: {problem.strerror or problem}", Place(str(path))) from None
