"""What a model folder holds: one rule for which files are its weights, by their names and headers alone.

transformers takes the first that it finds of a single safetensors file, safetensors shards, a single .bin
file and .bin shards, and passes over the rest. That order is kept. A GGUF file is a whole model by itself,
and stands for a folder that has no other weights. What would leave open which weights are meant, or give
others than were named, is an ArtefactError.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from coherence import limits
from coherence.engine.model.gguf_header import GGUF, GgufHeader
from coherence.errors import ArtefactError, listed
from coherence.files import read_file

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
# What tokenizers of transformers read words and merges from, beside JSON.
VOCABULARIES = ("*.model", "*.model.v*", "*.spm", "*.tiktoken", "*.tokenizer", "vocab.txt", "dict.txt")
MERGES = ("merges.txt", "*.codes")
_ADAPTER = "adapter_model"
_SAFETENSORS, _BIN = "model.safetensors", "pytorch_model.bin"
_INDEX = ".index.json"
_NONE = (
    f"has no weights; expected {_SAFETENSORS}, or shards with {_SAFETENSORS}{_INDEX}, beside {CONFIG}, or a "
    f"{GGUF} file"
)


# Bits of a value; those of other types may have any.
_BITS = {
    **{"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "I8": 8},
    **{"U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8},
}


@dataclass(frozen=True)
class Stored:
    """A tensor as the header of a safetensors file tells of it."""

    dtype: str
    shape: tuple[int, ...]


def weight_files(folder: Path) -> list[Path]:
    """Return the files that the weights of a model are loaded from: all safetensors, all .bin, or one GGUF.

    An ArtefactError says what is missing, or what to remove, where a folder leaves open which they are.
    """
    if is_gguf(folder):
        return [_model_file(folder)]
    if not folder.is_dir():
        raise ArtefactError(f"{folder} is not a folder; expected one with the files of a model")
    _refuse_adapter(folder)
    _refuse_weights_of_another_name(folder)
    files = _of_format(folder, _SAFETENSORS) or _of_format(folder, _BIN)
    if not files:
        raise ArtefactError(_NONE)
    return files


def is_gguf(path: Path) -> bool:
    """Whether a path is that of a GGUF file, and not of a folder."""
    return path.suffix == GGUF and not path.is_dir()


def model_at(folder: Path) -> Path:
    """Return the GGUF file that is all that a folder has for weights, or else the folder.

    An ArtefactError where there are several.
    """
    files = sorted(folder.glob(f"*{GGUF}"))
    others = {path for name in (_SAFETENSORS, _BIN) for path in folder.glob(f"{Path(name).stem}[.-]*")}
    if not files or others - {*files}:
        return folder
    if len(files) > 1:
        raise ArtefactError(
            f"holds {listed([path.name for path in files], shown=3)}; expected the file that is meant to be "
            f"named, such as {files[0]}"
        )
    return files[0]


def _model_file(path: Path) -> Path:
    if GgufHeader.of(path).is_adapter:
        raise ArtefactError(f"{path.name} holds an adapter; expected the base model itself")
    return _whole(path)


def _whole(path: Path) -> Path:
    header = GgufHeader.of(path)
    if header.parts > 1:
        raise ArtefactError(
            f"is one of {header.parts} parts of a model; join them first, by `llama-gguf-split --merge`"
        )
    if not header.tensors:
        raise ArtefactError(f"cannot be loaded: {path.name} holds no weights")
    return path


def adapter_files(folder: Path) -> list[Path]:
    """Return the files that the weights of an adapter are loaded from, by the rule for those of a model.

    An ArtefactError says what is missing, or what to remove.
    """
    if is_gguf(folder):
        return [_whole(folder)]
    if not folder.is_dir():
        raise ArtefactError(f"{folder} is not a folder; expected one with the files of an adapter")
    files = _of_format(folder, f"{_ADAPTER}.safetensors") or _of_format(folder, f"{_ADAPTER}.bin")
    if not files:
        raise ArtefactError(
            f"has no weights; expected {_ADAPTER}.safetensors, or shards with "
            f"{_ADAPTER}.safetensors{_INDEX}, beside {ADAPTER_CONFIG}"
        )
    return files


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder, or a GGUF file, holds a whole model and not an adapter."""
    if is_gguf(folder):
        return not GgufHeader.of(folder).is_adapter
    return (folder / CONFIG).is_file() and not (folder / ADAPTER_CONFIG).exists()


def tensors(path: Path) -> dict[str, Stored]:
    """Read the header of a safetensors file; an ArtefactError when the file is not what that tells of."""
    # Not by safetensors, which maps the whole file, and cannot where it is larger than the memory.
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        written = file.read(length) if length <= min(size, limits.HEADER_BYTES) else b""
    try:
        parts = {name: part for name, part in json.loads(written).items() if name != "__metadata__"}
        ends = [_offsets(part)[1] for part in parts.values()]
        stored = {name: Stored(str(part["dtype"]), _shape(part)) for name, part in parts.items()}
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as problem:
        raise ArtefactError(f"cannot be loaded: {path.name} is not a whole safetensors file") from problem
    told = 8 + length + max(ends, default=0)
    if told != size:
        raise ArtefactError(
            f"cannot be loaded: {path.name} is not a whole safetensors file: it has {size:,} bytes, and its "
            f"header tells of {told:,}"
        )
    return stored


def _offsets(part: Mapping[str, Any]) -> tuple[int, int]:
    start, end = _counts(part["data_offsets"])
    if start > end:
        raise ValueError("a tensor that ends before it begins")
    return start, end


def _shape(part: Mapping[str, Any]) -> tuple[int, ...]:
    """Return a shape; a ValueError where it is not that of the bytes that are there for it."""
    shape, (start, end) = _counts(part["shape"]), _offsets(part)
    # The smallest types have eight values in a byte.
    most = 8 * (end - start) // _BITS.get(part["dtype"], 1)
    if len(shape) > limits.RANK or prod(shape) > most:
        raise ValueError("a shape that its bytes have no room for")
    return shape


def _counts(written: object) -> tuple[int, ...]:
    """Return counts; a ValueError where they are none."""
    if not isinstance(written, list) or not all(type(one) is int and one >= 0 for one in written):
        raise ValueError("expected a list of counts")
    return tuple(written)


def _refuse_adapter(folder: Path) -> None:
    left = sorted(
        path.name for path in (folder / ADAPTER_CONFIG, *folder.glob(f"{_ADAPTER}[.-]*")) if path.exists()
    )
    if not left:
        return
    if not (folder / CONFIG).exists():
        raise ArtefactError(
            f"holds an adapter ({' and '.join(left)}) and no {CONFIG}; expected the base model itself"
        )
    raise ArtefactError(
        f"holds {' and '.join(left)} beside a model: that adapter would be put on top of its weights, a "
        "second time if it is merged into them; remove it from the folder, and name it among the adapters "
        "if it is meant"
    )


def _refuse_weights_of_another_name(folder: Path) -> None:
    named = json_object(folder / CONFIG).get("transformers_weights")
    if named is not None:
        raise ArtefactError(
            f"{CONFIG} names {named!r} as its weights (transformers_weights); remove that, and expected "
            f"{_SAFETENSORS}, or shards with an index"
        )


def _of_format(folder: Path, single: str) -> list[Path]:
    index = folder / f"{single}{_INDEX}"
    stem, _, ending = single.partition(".")
    shards = sorted(
        path.name
        for path in folder.glob(f"{stem}-*.{ending}")
        if re.fullmatch(rf"{stem}-\d+-of-\d+\.{ending}", path.name)
    )
    others = ([index.name] if index.exists() else []) + shards
    if (folder / single).exists():
        if others:
            raise ArtefactError(
                f"holds both {single} and {listed(others, shown=1)}, and only the first would be read; "
                "remove whichever are not the weights that are meant"
            )
        return [_file(folder, single)]
    if index.exists():
        return _indexed(folder, index, shards)
    if shards:
        raise ArtefactError(
            f"holds {listed(shards, shown=1)} and no {index.name}, which says what belongs together; "
            "expected all files of the model"
        )
    return []


def _indexed(folder: Path, index: Path, shards: Collection[str]) -> list[Path]:
    placed = _weight_map(index)
    named = sorted(set(placed.values()))
    outside = [name for name in named if Path(name).name != name]
    if outside:
        raise ArtefactError(f"{index.name} names {outside[0]!r}; expected a file of the same folder")
    absent = [name for name in named if not (folder / name).exists()]
    if absent:
        raise ArtefactError(
            f"lacks {listed(absent, shown=1)}, of the {len(named)} files that {index.name} names; "
            "fetch the model again"
        )
    stray = [name for name in shards if name not in placed.values()]
    if stray:
        raise ArtefactError(
            f"holds {listed(stray, shown=1)}, which {index.name} does not name; remove whichever are not "
            "the weights that are meant"
        )
    files = [_file(folder, name) for name in named]
    if files[0].suffix == ".safetensors":
        _check_placed(placed, files, index.name)
    return files


def _check_placed(placed: Mapping[str, str], files: Collection[Path], index: str) -> None:
    held: dict[str, str] = {}
    for path in files:
        for tensor in tensors(path):
            other = held.setdefault(tensor, path.name)
            if other != path.name:
                raise ArtefactError(
                    f"holds {tensor} twice, in {other} and {path.name}; expected it where {index} says"
                )
    for tensor, name in placed.items():
        if held.get(tensor) != name:
            where = f"but it is in {held[tensor]}" if tensor in held else "which lacks it"
            raise ArtefactError(f"is mixed from several models: {index} places {tensor} in {name}, {where}")


def _weight_map(index: Path) -> dict[str, str]:
    placed = json_object(index).get("weight_map")
    if (
        not isinstance(placed, dict)
        or not placed
        or not all(isinstance(name, str) for name in placed.values())
    ):
        raise ArtefactError(f"{index.name} places no weights; expected a weight_map of tensors to files")
    return placed


def json_told(path: Path) -> dict[str, Any]:
    """Read a JSON object; one that cannot be read tells nothing: loading it says what is wrong."""
    try:
        return json_object(path)
    except ArtefactError:
        return {}


def json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object that lies beside weights; an ArtefactError says why it cannot be read."""
    if not path.exists():
        raise ArtefactError(f"has no {path.name}; expected one beside its weights")
    try:
        read = json.loads(read_file(_file(path.parent, path.name), limits.CONFIG_BYTES))
    except (ValueError, RecursionError) as problem:
        raise ArtefactError(f"cannot be loaded: {path.name} is not JSON: {problem}") from problem
    except OSError as problem:
        raise ArtefactError(f"cannot be loaded: {path.name} cannot be read: {problem.strerror}") from problem
    if not isinstance(read, dict):
        raise ArtefactError(
            f"cannot be loaded: {path.name} holds a {type(read).__name__}; expected a JSON object"
        )
    return read


def _file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise ArtefactError(f"cannot be loaded: {name} is not a file")
    return path
