"""One entry: a safetensors file with a value, the key that it was measured under, and a checksum of both."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from coherence.errors import first_line
from coherence.plan import Answer, LawOutcome, Opinion, Reasoning, Seen, Unread, Value
from coherence.plan.record import Array

Key = Mapping[str, Any]

_TENSOR = "value"
_KINDS = {Answer: "answer", LawOutcome: "search", Opinion: "opinion"}


class DamagedError(Exception):
    """A file is no whole entry. Says what is wrong with it."""


def manifest_of(key: Key) -> str:
    """Return the one way to write a key, whatever the order of its members."""
    return json.dumps(dict(key), sort_keys=True, separators=(",", ":"), allow_nan=False)


def name_of(manifest: str) -> str:
    """Return the file name of the entry with this manifest."""
    return f"{hashlib.sha256(manifest.encode()).hexdigest()}.safetensors"


def packed(manifest: str, value: Value) -> bytes:
    """Return the content of an entry's file; arrays are float32 of any shape."""
    if isinstance(value, np.ndarray):
        assert value.dtype == np.float32
        array = np.asarray(value, order="C")
        return save({_TENSOR: array}, _metadata(manifest, "array", list(array.shape), array.data))
    return save({}, _metadata(manifest, _KINDS[type(value)], asdict(value)))


def read(path: Path) -> tuple[str, Value]:
    """Read the manifest and the value of an entry. A DamagedError when it is not whole, or an OSError."""
    with _opened(path) as (file, manifest, metadata):
        kind, content = metadata.get("kind", ""), metadata.get("said", "")
        tensor = file.get_tensor(_TENSOR) if kind == "array" else None  # type: ignore[no-untyped-call]
    if metadata.get("sha256") != _checksum(manifest, kind, content, b"" if tensor is None else tensor.data):
        raise DamagedError("its checksum does not hold")
    return manifest, _value(kind, json.loads(content), tensor)


def _value(kind: str, content: Any, tensor: Array | None) -> Value:  # noqa: ANN401
    if tensor is not None:
        # The checksum is of the bytes; what they mean stands in a header that it does not cover.
        if tensor.dtype != np.float32 or list(tensor.shape) != content:
            raise DamagedError("its header does not fit its checksum")
        return tensor
    if kind == "answer":
        reasoning = content.get("reasoning")
        return Answer(
            content["text"],
            tuple(content["ids"]),
            content.get("ran_on", False),
            Reasoning(**reasoning) if reasoning else None,
        )
    if kind == "search":
        broken = content["counterexample"]
        return LawOutcome(Seen(**content["largest"]), content["examples"], Seen(**broken) if broken else None)
    if kind == "opinion":
        unread = content["unread"]
        return Opinion(content["score"], content["text"], Unread(unread) if unread else None)
    raise DamagedError(f"it holds a value of the kind {kind!r}, expected array, answer, opinion or search")


def read_key(path: Path) -> Key:
    """Read only the key of an entry, unchecked. A DamagedError when there is none, or an OSError."""
    with _opened(path) as (_, manifest, _):
        try:
            key = json.loads(manifest)
        except ValueError as problem:
            raise DamagedError("its key is not JSON") from problem
    if not isinstance(key, dict):
        raise DamagedError("its key is no JSON object")
    return key


@contextmanager
def _opened(path: Path) -> Iterator[tuple[safe_open, str, Mapping[str, str]]]:
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if "key" not in metadata:
                raise DamagedError("it was not written by a store: it has no key")
            yield file, metadata["key"], metadata
    except FileNotFoundError:
        # safe_open calls every failure a missing file; opening tells a locked door from no door.
        path.open("rb").close()
        raise
    except SafetensorError as problem:
        raise DamagedError(f"it is no whole safetensors file: {first_line(problem)}") from problem


def _metadata(manifest: str, kind: str, content: object, data: bytes | memoryview = b"") -> dict[str, str]:
    text = json.dumps(content)
    return {"key": manifest, "kind": kind, "said": text, "sha256": _checksum(manifest, kind, text, data)}


def _checksum(manifest: str, kind: str, content: str, data: bytes | memoryview) -> str:
    checksum = hashlib.sha256("\0".join((manifest, kind, content, "")).encode())
    checksum.update(data)
    return checksum.hexdigest()
