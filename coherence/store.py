"""A content-addressed store of measured values: one file per value, readable by itself."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from coherence.errors import StoreError
from coherence.files import replace_file
from coherence.plan import LawOutcome, Value

Key = Mapping[str, Any]

_LAYOUT = "v1"
_TENSOR = "value"


def cache_root() -> Path:
    """Return the folder of what can be made again: `COHERENCE_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("COHERENCE_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else user_cache_path("coherence", appauthor=False)


def store_root() -> Path:
    """Return the folder of the store when `--coherence-store` names no other."""
    return cache_root() / "store"


class Store:
    """Values by what was measured. A key is a JSON object; equal objects are one key, whatever their order.

    A damaged entry counts as absent, and the next `put` replaces it.
    A store that cannot be read or written raises a StoreError.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: Key) -> Value | None:
        """Return the value measured under this key, or None."""
        manifest = _manifest(key)
        path = self._path(manifest)
        try:
            # safe_open calls every failure a missing file; opening tells a locked door from no door.
            path.open("rb").close()
            with safe_open(path, framework="np") as entry:
                tensor = entry.get_tensor(_TENSOR) if _TENSOR in entry.keys() else None  # noqa: SIM118
                return _unpacked(manifest, entry.metadata() or {}, tensor)
        except (FileNotFoundError, SafetensorError):
            return None
        except OSError as problem:
            raise self._unusable("read", problem) from problem

    def put(self, key: Key, value: Value) -> None:
        """Keep a value; arrays are float32 of any shape. Atomic, also under parallel writers."""
        manifest = _manifest(key)
        try:
            replace_file(self._path(manifest), _packed(manifest, value))
        except OSError as problem:
            raise self._unusable("written", problem) from problem

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Wait until no other process holds the lock of this name, and hold it."""
        lock = FileLock(self.root / _LAYOUT / f"{name}.lock")
        try:
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as problem:
            raise self._unusable("locked", problem) from problem
        try:
            yield
        finally:
            lock.release()

    def _path(self, manifest: str) -> Path:
        digest = hashlib.sha256(manifest.encode()).hexdigest()
        return self.root / _LAYOUT / digest[:2] / f"{digest}.safetensors"

    def _unusable(self, done: str, problem: OSError) -> StoreError:
        reason = problem.strerror or str(problem)
        return StoreError(
            f"the store {self.root} cannot be {done}: {reason}; "
            "give another folder with --coherence-store PATH, or make room in this one"
        )


def _manifest(key: Key) -> str:
    return json.dumps(dict(key), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _packed(manifest: str, value: Value) -> bytes:
    if isinstance(value, np.ndarray):
        assert value.dtype == np.float32
        array = np.asarray(value, order="C")
        return save({_TENSOR: array}, _metadata(manifest, "array", list(array.shape), array.tobytes()))
    if isinstance(value, LawOutcome):
        return save({}, _metadata(manifest, "law", asdict(value)))
    return save({}, _metadata(manifest, "text", value))


def _metadata(manifest: str, kind: str, said: object, data: bytes = b"") -> dict[str, str]:
    text = json.dumps(said)
    return {"key": manifest, "kind": kind, "said": text, "sha256": _checksum(manifest, kind, text, data)}


def _checksum(manifest: str, kind: str, said: str, data: bytes) -> str:
    return hashlib.sha256("\0".join((manifest, kind, said, "")).encode() + data).hexdigest()


def _unpacked(
    manifest: str, metadata: Mapping[str, str], tensor: np.ndarray[Any, Any] | None
) -> Value | None:
    kind, said = metadata.get("kind", ""), metadata.get("said", "")
    data = b"" if tensor is None else tensor.tobytes()
    if metadata.get("sha256") != _checksum(manifest, kind, said, data):
        return None
    if kind == "array":
        return tensor
    content: Any = json.loads(said)
    return LawOutcome(**content) if kind == "law" else str(content)
