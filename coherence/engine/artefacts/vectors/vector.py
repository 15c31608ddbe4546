"""Steering vectors from files: a row at each of their sites, or a sentence that says why not."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from coherence.engine.artefacts.vectors.content import Content
from coherence.engine.artefacts.vectors.declaration import Told, sites_of
from coherence.engine.artefacts.vectors.directions import Directions, directions
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
    """Directions [width] by the sites where they act, of `held` that the file has for layers of the base."""

    directions: Directions
    held: int
    metadata: dict[str, str]

    @property
    def site(self) -> Site:
        """Where it acts, or the first of several sites."""
        return next(iter(self.directions))

    @property
    def values(self) -> NDArray[np.float32]:
        """Its direction, or the first of several."""
        return self.directions[self.site]

    @property
    def digest(self) -> str:
        """Digest of values and depths, whatever the file."""
        told = (f"{site.depth}:".encode() + values.tobytes() for site, values in self.directions.items())
        return hashlib.sha256(b"".join(told)).hexdigest()

    @property
    def remark(self) -> str:
        """How many of the directions act nowhere; empty where all of them act."""
        unused = self.held - len(self.directions)
        be = "is" if unused == 1 else "are"
        return f"{unused} of the {self.held} directions of its file {be} unused" if unused else ""


def load_vector(source: VectorSource, width: int, blocks: int, name: str) -> Vector:
    """Read a vector file for a base of `blocks` blocks and residuals [width].

    Formats are those of docs/suites.md#vectors. Anything else: ArtefactError.
    """
    assert source.path is not None
    path = Path(source.path)
    try:
        content = _content(path)
        entry = chosen(content, source.key, width)
        told = Told(source.site, source.layers, width, blocks)
        by_site = directions(entry, told, source.sites)
        checked = {site: _checked(values) for site, values in by_site.items()}
        held = len(by_site) if source.sites == "all" else len(sites_of(entry, told) or by_site)
    except UnfitError as reason:
        raise ArtefactError(f"the vector {name!r} ({path}) cannot be used: {reason}") from reason.__cause__
    return Vector(checked, held, content.metadata)


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
    if not path.exists():
        beside = [file.name for file in path.parent.glob("*") if file.suffix in _READERS]
        raise UnfitError("there is no such file" + did_you_mean(path.name, beside))
    if not path.is_file():
        raise UnfitError("found a folder, a pipe or a device, expected a file")
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
