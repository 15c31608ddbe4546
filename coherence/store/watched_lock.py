"""A lock between processes that says who holds it, and since when."""

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

# How long nobody wonders, and how often those who wait are told afterwards.
PATIENCE_S = 2.0
AGAIN_S = 60.0


class WatchedLock:
    """A lock in a folder. Who holds it stands in a file beside it: those who wait empty the lock's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._lock = FileLock(folder / f"{name}.lock")
        self._holder = folder / f"{name}.holder"

    def acquire(self, tell: Callable[[str], None]) -> None:
        """Wait for the lock; after two seconds `tell` hears for whom, and then every minute."""
        patience = PATIENCE_S
        while True:
            try:
                self._lock.acquire(timeout=patience)
                break
            except Timeout:
                tell(f"waiting for {self._held()}")
                patience = AGAIN_S
        with suppress(OSError):  # it is held all the same
            self._holder.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")

    def release(self) -> None:
        """Let the next one in."""
        with suppress(OSError):
            self._holder.unlink()
        self._lock.release()

    def _held(self) -> str:
        with suppress(OSError, UnicodeDecodeError):
            who = self._holder.read_text(encoding="utf-8")
            minutes = (time.time() - self._holder.stat().st_mtime) / 60
            since = f"{minutes:.0f} min" if minutes >= 1 else "less than a minute"
            return f"{who}, which has been {self._name} into this store for {since}"
        return f"another process, which is {self._name} into this store"
