"""Vector files of every container, for a base of 4 blocks and residuals [6]."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from safetensors.numpy import save_file

from coherence.engine.artefacts.vectors import Vector, load_vector
from coherence.errors import ArtefactError
from coherence.vocabulary import Site, VectorSource

WIDTH = 6
BLOCKS = 4


def load(path: Path, site: str | None = None, layers: Any = None, key: str | None = None) -> Vector:
    source = VectorSource(path=str(path), site=Site.parse(site) if site else None, layers=layers, key=key)
    return load_vector(source, WIDTH, BLOCKS, "pirate")


def refused(path: Path, site: str | None = None, layers: Any = None, key: str | None = None) -> str:
    """Say why a file is refused."""
    with pytest.raises(ArtefactError) as caught:
        load(path, site, layers, key)
    start = f"the vector 'pirate' ({path}) cannot be used: "
    assert caught.value.sentence.startswith(start)
    return caught.value.sentence.removeprefix(start)


def rows(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Row k holds k + 10."""
    return np.repeat(np.arange(10, 10 + count, dtype=np.float32)[:, None], WIDTH, axis=1)


def constant(vector: Vector) -> float:
    """The one value of a vector of these files."""
    (value,) = set(vector.values.tolist())
    assert vector.values.dtype == np.float32
    assert vector.values.shape == (WIDTH,)
    return float(value)


def write(path: Path, held: Any) -> Path:
    """Write arrays, or dicts and lists of them, into the container of an ending."""
    if path.suffix == ".pt":
        torch.save(_tensors(held), path)
    elif path.suffix == ".npy":
        np.save(path, held)
    elif path.suffix == ".npz":
        arrays: Any = {name: np.asarray(value) for name, value in flat(held).items()}
        np.savez(path, **arrays)
    elif path.suffix == ".safetensors":
        said = {name: str(value) for name, value in held.items() if isinstance(value, str | int)}
        arrays = {name: value for name, value in flat(held).items() if isinstance(value, np.ndarray)}
        save_file(arrays, path, said)
    else:
        control(path, held)
    return path


def flat(held: Mapping[str, Any], around: str = "") -> dict[str, Any]:
    """Spell the names of nested dicts with `/`."""
    found: dict[str, Any] = {}
    for name, value in held.items():
        within = isinstance(value, dict)
        found |= flat(value, f"{around}{name}/") if within else {f"{around}{name}": value}
    return found


def _tensors(held: Any) -> Any:
    if isinstance(held, np.ndarray):
        return torch.from_numpy(held.copy())
    if isinstance(held, dict):
        return {name: _tensors(value) for name, value in held.items()}
    return [_tensors(value) for value in held] if isinstance(held, list) else held


def control(path: Path, directions: Mapping[int, Any], hint: str = "llama") -> Path:
    """Write a control vector as repeng does."""
    writer = GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", hint)
    writer.add_uint32("controlvector.layer_count", len(directions))
    for number, values in directions.items():
        writer.add_tensor(f"direction.{number}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
