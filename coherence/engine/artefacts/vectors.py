"""Steering vectors from files: one row at one site, or a sentence that says why not.

Four layer conventions are in circulation, and neighbouring layers are alike enough that an off-by-one goes
unnoticed: whatever a file leaves open must be told by the suite, and whatever is told is checked.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from coherence.errors import ArtefactError, did_you_mean
from coherence.files import replace_file
from coherence.vocabulary import Site, VectorSource

_TENSOR = "vector"


@dataclass(frozen=True, eq=False)
class Vector:
    """A vector [width] and where it is added. `digest` is of its values and depth, whatever the file."""

    values: NDArray[np.float32]
    site: Site
    digest: str
    metadata: dict[str, str]


class _UnfitError(Exception):
    """Why a file cannot be used, without its name."""


def load_vector(source: VectorSource, width: int, blocks: int, name: str) -> Vector:
    """Read a vector file for a base of `blocks` blocks and residuals [width].

    Formats: .safetensors as written by `save_vector`; .pt as written by persona_vectors (arXiv 2507.21509), a
    stack of hidden states [blocks + 1, width] or block outputs [blocks, width], or one vector [width]; .gguf
    control vectors, whose direction.N is added to the output of block N. Anything else: ArtefactError.
    """
    assert source.path is not None
    path = Path(source.path)
    try:
        values, site, metadata = _read(path, source, width, blocks)
        _check_values(values)
    except _UnfitError as reason:
        raise ArtefactError(f"the vector {name!r} ({path}) cannot be used: {reason}") from reason.__cause__
    return Vector(values, site, _digest(values, site), metadata)


def save_vector(path: Path, values: NDArray[np.float32], site: Site, metadata: Mapping[str, str]) -> None:
    """Write values [width] and their site as .safetensors. ArtefactError: the file cannot be written."""
    about = {**metadata, "site": str(site), "width": str(values.size)}
    try:
        replace_file(path, save({_TENSOR: np.asarray(values, np.float32, order="C")}, about))
    except OSError as problem:
        raise ArtefactError(f"{path} cannot be written: {problem.strerror or problem}") from problem


_Found = tuple[NDArray[np.float32], Site, dict[str, str]]


def _read(path: Path, source: VectorSource, width: int, blocks: int) -> _Found:
    readers = {".safetensors": _read_safetensors, ".pt": _read_pt, ".gguf": _read_gguf}
    reader = readers.get(path.suffix)
    if reader is None:
        raise _UnfitError(f"found the ending {path.suffix!r}, expected one of {', '.join(sorted(readers))}")
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*") if file.suffix in readers]
        raise _UnfitError("there is no such file" + did_you_mean(path.name, beside))
    try:
        return reader(path, source, width, blocks)
    except OSError as problem:
        raise _UnfitError(f"it cannot be read: {problem.strerror or problem}") from problem


def _read_safetensors(path: Path, source: VectorSource, width: int, blocks: int) -> _Found:
    _check_no_layers(source, "one vector")
    try:
        with safe_open(path, framework="np") as file:
            names, metadata = list(file.keys()), dict(file.metadata() or {})
            if _TENSOR not in names:
                raise _UnfitError(f"found the tensors {_listed(names)}, expected one named {_TENSOR!r}")
            # numpy has no bfloat16
            brain = file.get_slice(_TENSOR).get_dtype() == "BF16"
            values = _read_brain_float(path) if brain else file.get_tensor(_TENSOR)
    except SafetensorError as problem:
        raise _UnfitError(f"it is not a whole safetensors file: {problem}") from problem
    site = _agreed_site(source.site, metadata.get("site"), blocks)
    return _one_row(values, width), site, metadata


def _read_brain_float(path: Path) -> NDArray[Any]:
    from safetensors.torch import load_file

    return np.asarray(load_file(path)[_TENSOR].float())


def _agreed_site(told: Site | None, written: str | None, blocks: int) -> Site:
    if written is None:
        return _told_site(told, blocks)
    try:
        own = Site.parse(written)
    except ValueError as problem:
        raise _UnfitError(str(problem)) from problem
    if told is not None and told.depth != own.depth:
        raise _UnfitError(f"the suite says {told}, but the file says {own}")
    return _told_site(told or own, blocks)


def _told_site(site: Site | None, blocks: int) -> Site:
    if site is None:
        raise _UnfitError(
            f"the file does not say its site; write `site:` beside its path, such as {Site.example}"
        )
    if site.block >= blocks:
        raise _UnfitError(
            f"found the site {site}, expected a block from 0 to {blocks - 1}, those of the base"
        )
    return site


def _read_pt(path: Path, source: VectorSource, width: int, blocks: int) -> _Found:
    tensor = _load_tensor(path)
    site = _told_site(source.site, blocks)
    if tensor.ndim == 1:
        _check_no_layers(source, "one vector")
        return _one_row(tensor, width), site, {}
    if tensor.ndim != 2:
        shape = list(tensor.shape)
        raise _UnfitError(
            f"found the shape {shape}, expected [{width}], [{blocks}, {width}] or [{blocks + 1}, {width}]"
        )
    row = _row(tensor.shape[0], source.layers, site, blocks)
    return _one_row(tensor[row], width), site, {}


def _load_tensor(path: Path) -> NDArray[Any]:
    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as problem:  # nearly any, for a file that torch did not write
        raise _UnfitError("it is not a tensor that torch can read without running code") from problem
    if not isinstance(held, torch.Tensor):
        raise _UnfitError(f"found a {type(held).__name__}, expected one tensor")
    if not held.is_floating_point():
        raise _UnfitError(f"found values of {held.dtype}, expected floating point")
    if held.is_meta or held.is_nested or held.layout is not torch.strided:
        raise _UnfitError("found a tensor that is sparse, nested or without values, expected a plain one")
    return np.asarray(held.detach().float())


def _row(rows: int, told: str | None, site: Site, blocks: int) -> int:
    """Which row of a stack holds the residual at a site."""
    expected = {"hidden_states": blocks + 1, "block_outputs": blocks}
    convention = told or next((name for name, count in expected.items() if count == rows), None)
    if convention is None:
        raise _UnfitError(
            f"found {rows} rows, expected {blocks + 1} (hidden_states) or {blocks} (block_outputs)"
        )
    if rows != expected[convention]:
        raise _UnfitError(f"found {rows} rows, expected {expected[convention]} for `layers: {convention}`")
    if convention == "block_outputs":
        if site.depth == 0:
            raise _UnfitError(f"block outputs have no row for {site}, which comes before the first block")
        return site.depth - 1
    if site.depth == blocks:
        raise _UnfitError(f"the last row of hidden states is after the final norm, and not {site}")
    return site.depth


def _read_gguf(path: Path, source: VectorSource, width: int, blocks: int) -> _Found:
    _check_no_layers(source, "directions that carry their block")
    site = _told_site(source.site, blocks)
    directions, metadata = _load_directions(path)
    wanted = f"direction.{site.depth - 1}"
    if site.depth < 2 or wanted not in directions:
        needed = f"{site} needs {wanted}" if site.depth > 1 else f"control vectors have none for {site}"
        raise _UnfitError(f"{needed}; found {_listed(directions)}")
    return _one_row(directions[wanted], width), site, metadata


def _load_directions(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    from gguf import GGUFReader, dequantize

    try:
        reader = GGUFReader(path)
        metadata = {name: str(field.contents()) for name, field in reader.fields.items() if "." in name}
        tensors = [tensor for tensor in reader.tensors if tensor.name.startswith("direction.")]
        return {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in tensors}, metadata
    except (ValueError, IndexError, KeyError) as problem:
        raise _UnfitError(f"it is not a whole GGUF file: {problem}") from problem


def _check_no_layers(source: VectorSource, held: str) -> None:
    if source.layers is not None:
        raise _UnfitError(f"`layers: {source.layers}` is for stacks in .pt files; this one holds {held}")


def _one_row(values: NDArray[Any], width: int) -> NDArray[np.float32]:
    if values.ndim != 1:
        raise _UnfitError(f"found the shape {list(values.shape)}, expected [{width}]")
    if values.size != width:
        raise _UnfitError(f"found {values.size}, expected {width}, the width of the base")
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float32)


def _check_values(values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise _UnfitError(f"found {np.count_nonzero(~np.isfinite(values))} values that are NaN or infinite")
    if not values.any():
        raise _UnfitError("all of its values are 0, which steers nowhere")


def _digest(values: NDArray[np.float32], site: Site) -> str:
    return hashlib.sha256(f"{site.depth}:".encode() + values.tobytes()).hexdigest()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names, key=lambda name: (len(name), name))) or "none"
