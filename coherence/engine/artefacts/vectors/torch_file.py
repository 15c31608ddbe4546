"""Vectors in torch's .pt: one tensor, or dicts and lists of them. No pickle runs code.

Tensors lie in the file until one is read.
"""

import pickle
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import is_zipfile

import numpy as np

from coherence import limits
from coherence.engine.artefacts.vectors.content import DEEPEST, Content, Held, Values, floats_only
from coherence.engine.artefacts.vectors.unfit import UnfitError, whole
from coherence.pickled import code_refused, unsafe_to_load

if TYPE_CHECKING:
    from torch import Tensor

_LARGE = 10**9
# What torch.save writes begins as a zip archive or, before torch 1.6, as a pickle.
_BEGINNINGS = (b"PK", b"\x80")
_SHOWN = 24  # bytes


def read_pt(path: Path) -> Content:
    """Read what `torch.save` wrote, tensors by their places in the file."""
    with whole("torch"):
        return Content(_Parts().held(_loaded(path), 0))


def _loaded(path: Path) -> object:
    import torch

    _require_torch(path)
    if unsafe := unsafe_to_load(path, limits.HEADER_BYTES):
        raise UnfitError(unsafe)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except pickle.UnpicklingError as problem:
        raise UnfitError(f"it {code_refused(problem) or 'is not a whole torch file'}") from problem


def _require_torch(path: Path) -> None:
    with path.open("rb") as file:
        beginning = file.read(_SHOWN)
    is_cut_short = any(one.startswith(beginning) for one in _BEGINNINGS)
    if not beginning.startswith(_BEGINNINGS) and not is_cut_short:
        raise UnfitError(
            f"it is not a torch file: it begins with {beginning!r}; expected what torch.save writes"
        )


class _Parts:
    """What a pickle holds, counted: it may hold itself, or the same part a million times over."""

    def __init__(self) -> None:
        self._seen = count(1)

    def held(self, part: object, depth: int) -> Held:
        """Take from a part what says something of vectors."""
        import torch

        if depth > DEEPEST or next(self._seen) > limits.PARTS:
            raise UnfitError(f"its parts are more than {DEEPEST} deep, or more than {limits.PARTS:,}")
        if isinstance(part, torch.Tensor):
            return _values(part)
        if isinstance(part, Mapping):
            return self._named(part, depth)
        if isinstance(part, list | tuple):
            return [self.held(item, depth + 1) for item in part]
        return _said(part)

    def _named(self, part: Mapping[object, object], depth: int) -> Held:
        named: dict[str, Held] = {}
        for name, item in part.items():
            if str(name) in named:
                raise UnfitError(f"it has two parts that are called {str(name)!r}")
            named[str(name)] = self.held(item, depth + 1)
        return named


def _said(part: object) -> Held:
    if isinstance(part, float) and part.is_integer():
        part = int(part)
    if isinstance(part, str):
        return part
    return part if isinstance(part, int) and not isinstance(part, bool) and abs(part) < _LARGE else []


def _values(tensor: "Tensor") -> Held:
    import torch

    refused = "" if tensor.dtype.is_floating_point else floats_only(tensor.dtype)
    if tensor.is_nested:
        return Values((0,), lambda: np.zeros(0), "found a nested tensor, expected one of one shape")
    if tensor.layout != torch.strided:
        refused = f"found values in the layout {tensor.layout}, expected {torch.strided}"
    elif tensor.is_meta:
        refused = "found a tensor on the meta device: a shape without values"
    elif not tensor.shape and refused:
        return _said(tensor.item())
    return Values(tuple(tensor.shape), lambda: np.asarray(tensor.detach().float()), refused)
