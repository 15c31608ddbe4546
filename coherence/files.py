"""Files that are either the old one or the new one, never half of one, and are read within a size."""

import errno
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in place in one step: readers and parallel writers never see half of one. Raises OSError."""
    with replacing(path) as partial, partial.open("xb") as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file, or a folder where there is none, at the path that is given inside; put in place after it.

    Nothing is left of it where an exception ends it. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
        raise


def read_file(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes. Raises OSError, for a larger one, a pipe or a device as well."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        # Before it is opened, which would wait for whoever is to write into a pipe.
        raise OSError(errno.EINVAL, "it is a pipe or a device, expected a file", str(path))
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes", str(path))
    return content
