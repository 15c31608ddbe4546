"""The store: values by what was measured, kept within a size, shared by any number of processes."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from coherence.errors import StoreError
from coherence.files import replace_file
from coherence.plan import Value
from coherence.store.entry import DamagedError, Key, manifest_of, packed, read
from coherence.store.eviction import StoredFile, evicted
from coherence.store.lender import Lender
from coherence.store.size import store_limit
from coherence.store.store_layout import LAYOUT, place_of, require_layout
from coherence.store.watched_lock import WatchedLock

# How long after its use an entry is safe, and how exactly uses are remembered.
_HOUR_S = 3600.0


@dataclass(frozen=True)
class Pruned:
    """What a prune took away and what it left; sizes in bytes."""

    entries: int
    freed: int
    left: int


class Store:
    """Values by what was measured. A key is a JSON object; equal objects are one key, whatever their order.

    A damaged entry counts as absent, and the next `put` replaces it.
    A store that cannot be read or written, or that has a newer layout, raises a StoreError.
    What it lacks is taken from the lender, where there is one.
    """

    def __init__(self, root: Path, lender: Lender | None = None) -> None:
        self.root = root
        self._lender = lender
        self._opened = time.time()

    def get(self, key: Key) -> Value | None:
        """Return the value measured under this key, or None."""
        manifest = manifest_of(key)
        value = self._own(manifest)
        return self._borrowed(manifest) if value is None else value

    @property
    def borrowed(self) -> int:
        """How many values were taken from the lender so far."""
        return self._lender.lent if self._lender else 0

    def remarks(self) -> list[str]:
        """Return what is to be said of the lender, once."""
        return self._lender.remarks() if self._lender else []

    def _own(self, manifest: str) -> Value | None:
        path = self._path(manifest)
        try:
            stored, value = read(path)
        except (FileNotFoundError, DamagedError):
            return None
        except OSError as problem:
            raise self._unusable("read", problem) from problem
        if stored != manifest:
            return None
        _mark_used(path)
        return value

    def _borrowed(self, manifest: str) -> Value | None:
        value = self._lender.get(manifest) if self._lender else None
        if value is not None:
            # A store that cannot be written still serves what was lent to it.
            with suppress(StoreError):
                self._keep(manifest, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Keep a value; arrays are float32 of any shape. Atomic, also under parallel writers."""
        self._keep(manifest_of(key), value)

    def _keep(self, manifest: str, value: Value) -> None:
        try:
            replace_file(self._path(manifest), packed(manifest, value))
        except OSError as problem:
            raise self._unusable("written", problem) from problem

    @contextmanager
    def lock(self, name: str, tell: Callable[[str], None]) -> Iterator[None]:
        """Wait until no other process holds the lock of this name, and hold it; `tell` hears for whom."""
        lock = WatchedLock(self._folder, name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(tell)
        except OSError as problem:
            raise self._unusable("locked", problem) from problem
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Prune to `store_limit` after what is done inside; a bad limit is a StoreError before it."""
        limit = store_limit()
        yield
        # What could not be evicted takes up room; it is no reason to lose what was measured.
        with suppress(StoreError):
            self.prune(limit)

    def prune(self, limit: int) -> Pruned:
        """Evict the least recently used entries down to `limit` bytes, and sweep up after killed writers.

        What was used since an hour before this object was made stays, whatever the limit.
        """
        since = self._opened - _HOUR_S
        entries = self.entries()
        chosen = evicted(entries, limit, since)
        swept = [file for file in self._files(".partial") if file.used < since]
        self.remove(file.path for file in chosen + swept)
        freed = sum(entry.size for entry in chosen)
        left = sum(entry.size for entry in entries) - freed
        return Pruned(len(chosen), freed + sum(file.size for file in swept), left)

    def entries(self) -> list[StoredFile]:
        """List the entries, unread. A StoreError when there is no store in this folder."""
        if not self._folder.is_dir():
            raise StoreError(f"there is no store in {self.root}; expected a folder that a run measured into")
        return list(self._files(".safetensors"))

    def damaged(self) -> Iterator[tuple[Path, str]]:
        """Read every entry; path and reason of each that is not whole, or not where its key belongs."""
        for entry in sorted(self.entries(), key=lambda entry: entry.path):
            try:
                manifest, _ = read(entry.path)
            except FileNotFoundError:  # evicted meanwhile
                continue
            except DamagedError as problem:
                yield entry.path, str(problem)
            except OSError as problem:
                yield entry.path, f"it cannot be read: {problem.strerror or problem}"
            else:
                if entry.path != self._path(manifest):
                    yield entry.path, "its name is not the sha256 of its key"

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove files of this store; what is gone already is no error."""
        try:
            for path in paths:
                path.unlink(missing_ok=True)
        except OSError as problem:
            raise self._unusable("pruned", problem) from problem

    @cached_property
    def _folder(self) -> Path:
        # A folder that cannot be listed says why when it is used.
        with suppress(OSError):
            require_layout(self.root, "--coherence-store")
        return self.root / LAYOUT

    @property
    def examples(self) -> Path:
        """Folder of the counterexamples of earlier searches; they are no entries, and are not pruned."""
        return self.root / "examples"

    def _path(self, manifest: str) -> Path:
        return place_of(self._folder, manifest)

    def _files(self, suffix: str) -> Iterator[StoredFile]:
        try:
            for folder in filter(Path.is_dir, self._folder.iterdir()):
                with os.scandir(folder) as files:
                    yield from (
                        StoredFile(Path(file.path), status.st_size, status.st_mtime)
                        for file in files
                        if file.name.endswith(suffix)
                        for status in _status(file)
                    )
        except OSError as problem:
            raise self._unusable("read", problem) from problem

    def _unusable(self, done: str, problem: OSError) -> StoreError:
        reason = problem.strerror or str(problem)
        return StoreError(
            f"the store {self.root} cannot be {done}: {reason}; "
            "give another folder with --coherence-store PATH, or make room in this one"
        )


def _status(file: os.DirEntry[str]) -> list[os.stat_result]:
    try:
        return [file.stat()]
    except FileNotFoundError:  # evicted, or put in place, meanwhile
        return []


def _mark_used(path: Path) -> None:
    # Once an hour keeps a warm run cheap. A store that is read-only cannot be pruned either.
    with suppress(OSError):
        if abs(time.time() - path.stat().st_mtime) > _HOUR_S:
            os.utime(path)
