"""Which files a store that has grown too large gives up."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoredFile:
    """A file of a store: its size in bytes, and when it was last used in seconds since the epoch."""

    path: Path
    size: int
    used: float


def evicted(entries: Iterable[StoredFile], limit: int, since: float) -> list[StoredFile]:
    """Return the least recently used entries, as few as bring the rest to `limit` bytes.

    None that was used at `since` or later is among them, so the rest may stay above the limit.
    """
    ordered = sorted(entries, key=lambda entry: entry.used)
    excess = sum(entry.size for entry in ordered) - limit
    chosen: list[StoredFile] = []
    for entry in ordered:
        if excess <= 0 or entry.used >= since:
            break
        chosen.append(entry)
        excess -= entry.size
    return chosen
