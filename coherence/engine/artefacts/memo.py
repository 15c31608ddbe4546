"""Digests that are remembered, each for as long as its file looks as it did: size, times and inode."""

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from coherence.files import replace_file
from coherence.store import cache_root


class Stamp(NamedTuple):
    """What tells that a file was written again, or is another one, as far as that shows; times in ns.

    Artefacts of one shape have one size, and archives restore old times: only the inode and its change time
    tell a release that was unpacked over another one.
    """

    size: int
    written: int
    changed: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Take it of a file's status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def __str__(self) -> str:
        """Spell it as it is remembered."""
        return ":".join(map(str, self))


@dataclass(frozen=True)
class Remembered:
    """The digest of a file, and the stamp that the file had when it was taken."""

    path: Path
    stamp: str
    digest: str


def remembered(path: Path, stamp: Stamp) -> str | None:
    """Return the digest of a file that looks as it did when it was remembered; None where none is."""
    known = _read(_place(path))
    return known.digest if known and (known.path, known.stamp) == (path.resolve(), str(stamp)) else None


def remember(path: Path, stamp: Stamp, digest: str) -> None:
    """Remember a digest. A cache folder that cannot be written costs time, not correctness."""
    with suppress(OSError):
        replace_file(_place(path), f"{stamp} {digest}\n".encode() + os.fsencode(path.resolve()))


def forget(path: Path) -> None:
    """Let the digest of a file be taken anew."""
    with suppress(OSError):
        _place(path).unlink(missing_ok=True)


def all_remembered() -> Iterator[Remembered]:
    """Yield all of it, sorted by where it is remembered."""
    folder = _folder()
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        if known := _read(place):
            yield known


def _read(place: Path) -> Remembered | None:
    try:
        written, _, path = place.read_bytes().partition(b"\n")
        stamp, _, digest = written.decode("ascii").partition(" ")
    except (OSError, UnicodeDecodeError):
        return None
    is_whole = path and re.fullmatch(r"[0-9a-f]{64}", digest)
    return Remembered(Path(os.fsdecode(path)), stamp, digest) if is_whole else None


def _place(path: Path) -> Path:
    return _folder() / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()


def _folder() -> Path:
    return cache_root() / "digests"
