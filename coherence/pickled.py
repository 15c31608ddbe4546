"""Files of torch.save looked at before torch reads them, which believes what they say of themselves."""

import pickletools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, is_zipfile

# Of the functions that torch lets a pickle call, the one that takes as much memory as it is told.
_GREEDY = "bytearray"
# Pickles that follow each other in files of torch before 1.6: what wrote them, and what it wrote.
_OLD_PICKLES = 5


def unsafe_to_load(path: Path, most: int) -> str | None:
    """Say why a file would take more memory than it is long; None when it would not.

    `most` is how many bytes its pickle may have: what says which tensors there are, without their values.
    What is no such file at all is left to torch to say.
    """
    if is_zipfile(path):
        return _in_archive(path, most)
    with path.open("rb") as file:
        return _calls(file)


def code_refused(problem: Exception) -> str | None:
    """Say which code torch did not run, where that is what it complains of. Its words are advice to."""
    code = re.search(r"GLOBAL (\S+)", str(problem))
    return (
        f"cannot be read without running code ({code[1]}); save its tensors alone, or in dicts"
        if code
        else None
    )


def _in_archive(path: Path, most: int) -> str | None:
    length = path.stat().st_size
    try:
        with ZipFile(path) as file:
            for part in file.infolist():
                # torch takes memory for what they say that they are, or reads them as they lie.
                if part.compress_type != ZIP_STORED or part.file_size > length:
                    return f"its part {part.filename} is compressed; save it again with torch.save"
            names = [part for part in file.infolist() if part.filename.endswith("data.pkl")]
            if any(part.file_size > most for part in names):
                return f"its pickle has more than {most:,} bytes"
            return next(filter(None, (_called_in(file, part.filename) for part in names)), None)
    except (BadZipFile, NotImplementedError, RuntimeError):
        return None


def _called_in(file: ZipFile, name: str) -> str | None:
    with file.open(name) as part:
        return _called(part)


def _calls(file: IO[bytes]) -> str | None:
    return next(filter(None, (_called(file) for _ in range(_OLD_PICKLES))), None)


def _called(file: IO[bytes]) -> str | None:
    """Look at one pickle; what is none is told by torch."""
    try:
        found = any(name.rpartition(" ")[2] == _GREEDY for name in _names(file))
    except (ValueError, EOFError, IndexError, UnicodeDecodeError):
        return None
    return f"it asks for memory ({_GREEDY}); save its tensors alone, or in dicts" if found else None


def _names(file: IO[bytes]) -> Iterator[str]:
    """Yield the names that a pickle calls functions by."""
    for code, argument, _ in pickletools.genops(file):
        if code.name == "GLOBAL" or "UNICODE" in code.name:
            yield str(argument)
