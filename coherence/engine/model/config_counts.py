"""What a config counts, held against the weights beside it, before a model of that size is made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from torch import nn

from coherence import limits
from coherence.engine.model.folder import CONFIG, is_gguf, json_told, tensors
from coherence.engine.model.gguf_header import GgufHeader
from coherence.errors import ArtefactError

# What modules are made for, one by one. Each layer has a tensor; its experts may lie in one together.
_LAYERS, _EXPERTS = ("layer", "layers"), ("expert", "experts")
_FEW_LAYERS, _MOST_EXPERTS = 64, 4096
# Weights of two bits are four in a byte.
_MOST_IN_A_BYTE = 8


def check_counts(folder: Path, files: Sequence[Path]) -> None:
    """Refuse a config with more layers or experts than its weights could be of. Raises ArtefactError."""
    parts = sum(map(_parts, files))
    config = GgufHeader.of(folder).counts if is_gguf(folder) else json_told(folder / CONFIG)
    for name, count in _counted(config):
        most = _most(name.rpartition("_")[2], parts)
        if most is not None and count > most:
            raise ArtefactError(
                f"cannot be loaded: its {CONFIG} sets {name} to {count:,}, and its weights are {parts:,} "
                "tensors; expected the two to be of one model"
            )


def _most(counted: str, parts: int) -> int | None:
    if counted in _LAYERS:
        return max(_FEW_LAYERS, parts)
    return max(_MOST_EXPERTS, parts) if counted in _EXPERTS else None


def check_size(model: nn.Module, files: Sequence[Path]) -> None:
    """Refuse a model that is larger than its weights could fill. `model` may be on the meta device."""
    parameters = sum(weight.numel() for weight in model.parameters())
    length = sum(path.stat().st_size for path in files)
    if parameters > _MOST_IN_A_BYTE * length:
        raise ArtefactError(
            f"cannot be loaded: its {CONFIG} speaks of {parameters:,} parameters, and its weights have "
            f"{length:,} bytes; expected the two to be of one model"
        )


def _counted(config: Any) -> Iterator[tuple[str, int]]:  # noqa: ANN401
    """Yield what a config sets to whole numbers, in all of its parts."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _counted(value)
        elif isinstance(value, int):
            yield str(name), value


def _parts(path: Path) -> int:
    if path.suffix == ".safetensors":
        return len(tensors(path))
    if is_gguf(path):
        return len(GgufHeader.of(path).tensors)
    try:
        with ZipFile(path) as file:
            return len(file.infolist())
    except BadZipFile:  # one of torch before 1.6
        return limits.PARTS
