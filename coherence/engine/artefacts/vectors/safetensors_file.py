"""Vectors in safetensors: tensors by name, of which only headers are read, and metadata."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from coherence.engine.artefacts.vectors.content import Content, Held, Values, floats_only, nested
from coherence.engine.artefacts.vectors.unfit import whole


class _Header(Protocol):
    def get_shape(self) -> list[int]: ...

    def get_dtype(self) -> str: ...


# The tensor of our own files.
TENSOR = "vector"
_FLOATS = ("F64", "F32", "F16")
# numpy has none of these.
_TORCH_FLOATS = ("BF16", "F8_E4M3", "F8_E5M2")


def read_safetensors(path: Path) -> Content:
    """Read names, shapes and metadata."""
    with whole("safetensors"), safe_open(path, framework="np") as file:
        names, metadata = list(file.keys()), dict(file.metadata() or {})
        tensors = {name: _held(path, name, file.get_slice(name)) for name in names}
    declared: dict[str, Held] = {name: metadata[name] for name in ("site", "layer") if name in metadata}
    return Content({**declared, **nested(tensors)}, metadata, preferred=TENSOR if TENSOR in names else None)


def _held(path: Path, name: str, header: _Header) -> Held:
    shape, dtype = tuple(header.get_shape()), header.get_dtype()
    if not shape and dtype.startswith(("I", "U")):
        return int(_read(path, name))
    return Values(
        shape, lambda: _read(path, name), "" if dtype in _FLOATS + _TORCH_FLOATS else floats_only(dtype)
    )


def _read(path: Path, name: str) -> NDArray[Any]:
    with safe_open(path, framework="np") as file:
        if file.get_slice(name).get_dtype() not in _TORCH_FLOATS:
            return np.asarray(file.get_tensor(name))
    with safe_open(path, framework="pt") as file:
        return np.asarray(file.get_tensor(name).float())
