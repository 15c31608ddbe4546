"""Vectors in numpy's .npy and .npz, whose headers are read first; objects, which are pickles, never are."""

import math
from io import BytesIO
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from coherence import limits
from coherence.engine.artefacts.vectors.content import Content, Held, Values, floats_only, nested
from coherence.engine.artefacts.vectors.unfit import UnfitError, whole

_ENDING = ".npy"
# A number or a name that stands beside a vector.
_LONGEST = 512
# Of what numpy reads by itself, and takes for safe.
_LONGEST_HEADER = 10_000


def read_npy(path: Path) -> Content:
    """Read the header of one array."""
    with whole("npy"), path.open("rb") as file:
        shape, dtype = _header(file, path.stat().st_size)
    return Content(Values(shape, lambda: _read(path), _refused(dtype)))


def read_npz(path: Path) -> Content:
    """Read the headers of several arrays."""
    with whole("npz"), ZipFile(path) as file:
        if len(file.infolist()) > limits.PARTS:
            raise UnfitError(f"it has more than {limits.PARTS:,} members")
        members = [info for info in file.infolist() if info.filename.endswith(_ENDING)]
        held = {info.filename.removesuffix(_ENDING): _member(path, file, info) for info in members}
    return Content(nested(held))


def _member(path: Path, file: ZipFile, info: ZipInfo) -> Held:
    with file.open(info) as member:
        shape, dtype = _header(member, info.file_size)
    if not shape and dtype.kind in "iuU" and dtype.itemsize <= _LONGEST:
        text = _read_member(path, info.filename)[()]
        return str(text) if dtype.kind == "U" else int(text)
    return Values(shape, lambda: _read_member(path, info.filename), _refused(dtype))


def _header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    readers = {(1, 0): (2, npy.read_array_header_1_0), (2, 0): (4, npy.read_array_header_2_0)}
    version = npy.read_magic(file)
    if version not in readers:
        raise UnfitError(f"it is of version {version} of numpy's format, expected 1.0 or 2.0")
    length, reader = readers[version]
    told = file.read(length)
    if int.from_bytes(told, "little") > _LONGEST_HEADER:
        # Before numpy reads it, however long it is.
        raise UnfitError(f"it is not a whole npy file: its header has more than {_LONGEST_HEADER:,} bytes")
    shape, _, dtype = reader(BytesIO(told + file.read(int.from_bytes(told, "little"))))
    if len(shape) > limits.RANK:
        raise UnfitError(f"found an array of {len(shape)} axes, expected at most {limits.RANK}")
    needed = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and needed > size - file.tell():
        raise UnfitError(
            f"it is not a whole npy file: its header speaks of {needed:,} bytes, and there are fewer"
        )
    return shape, dtype


def _refused(dtype: np.dtype[Any]) -> str:
    return "" if dtype.kind == "f" else floats_only(dtype)


def _read(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))


def _read_member(path: Path, name: str) -> NDArray[Any]:
    with ZipFile(path) as file, file.open(name) as member:
        return np.asarray(npy.read_array(member, allow_pickle=False))
