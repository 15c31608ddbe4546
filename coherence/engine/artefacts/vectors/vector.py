"""Steering vectors from files: one row at one site, or a sentence that says why not."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from coherence.engine.artefacts.vectors.content import Content
from coherence.engine.artefacts.vectors.declaration import Told, agreed
from coherence.engine.artefacts.vectors.entries import chosen
from coherence.engine.artefacts.vectors.gguf_file import read_gguf
from coherence.engine.artefacts.vectors.numpy_file import read_npy, read_npz
from coherence.engine.artefacts.vectors.safetensors_file import TENSOR, read_safetensors
from coherence.engine.artefacts.vectors.torch_file import read_pt
from coherence.engine.artefacts.vectors.unfit import UnfitError
from coherence.errors import ArtefactError, did_you_mean
from coherence.files import replace_file
from coherence.vocabulary import Site, VectorSource

_READERS: dict[str, Callable[[Path], Content]] = {
    ".gguf": read_gguf,
    ".npy": read_npy,
    ".npz": read_npz,
    ".pt": read_pt,
    ".safetensors": read_safetensors,
}


@dataclass(frozen=True, eq=False)
class Vector:
    """A vector [width] and where it is added. `digest` is of its values and depth, whatever the file."""

    values: NDArray[np.float32]
    site: Site
    digest: str
    metadata: dict[str, str]


def load_vector(source: VectorSource, width: int, blocks: int, name: str) -> Vector:
    """Read a vector file for a base of `blocks` blocks and residuals [width].

    Formats are those of docs/suites.md#vectors. Anything else: ArtefactError.
    """
    assert source.path is not None
    path = Path(source.path)
    try:
        content = _content(path)
        entry = chosen(content, source.key, width)
        values, site = agreed(entry, Told(source.site, source.layers, width, blocks))
        values = _checked(values)
    except UnfitError as reason:
        raise ArtefactError(f"the vector {name!r} ({path}) cannot be used: {reason}") from reason.__cause__
    return Vector(values, site, _digest(values, site), content.metadata)


def save_vector(path: Path, values: NDArray[np.float32], site: Site, metadata: Mapping[str, str]) -> None:
    """Write values [width] and their site as .safetensors. ArtefactError: the file cannot be written."""
    about = {**metadata, "site": str(site), "width": str(values.size)}
    try:
        replace_file(path, save({TENSOR: np.asarray(values, np.float32, order="C")}, about))
    except OSError as problem:
        raise ArtefactError(f"{path} cannot be written: {problem.strerror or problem}") from problem


def _content(path: Path) -> Content:
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise UnfitError(f"found the ending {path.suffix!r}, expected one of {', '.join(_READERS)}")
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*") if file.suffix in _READERS]
        raise UnfitError("there is no such file" + did_you_mean(path.name, beside))
    try:
        return reader(path)
    except OSError as problem:
        raise UnfitError(f"it cannot be read: {problem.strerror or problem}") from problem


def _checked(values: NDArray[np.floating]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        values = np.array(values, dtype=np.float32)
    if not np.isfinite(values).all():
        raise UnfitError(f"found {np.count_nonzero(~np.isfinite(values))} values that are NaN or infinite")
    if not values.any():
        raise UnfitError("all of its values are 0, which steers nowhere")
    return values


def _digest(values: NDArray[np.float32], site: Site) -> str:
    return hashlib.sha256(f"{site.depth}:".encode() + values.tobytes()).hexdigest()
