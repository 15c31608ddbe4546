"""Control vectors in GGUF, of repeng and llama.cpp: `direction.N` is added to the output of block N."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coherence.engine.artefacts.vectors.content import Content, Values, floats_only
from coherence.engine.artefacts.vectors.unfit import whole
from coherence.engine.model.gguf_header import DIRECTION, HINT, GgufHeader, GgufTensor
from coherence.engine.model.gguf_values import dequantized

_FIRST = "direction.0 is never applied by llama.cpp: control vectors begin with the second block"
# What llama.cpp calls the families that transformers knows by other names.
_SAME = {"llama": ("mistral", "mixtral"), "commandr": ("cohere",)}


def read_gguf(path: Path) -> Content:
    """Read names and shapes of directions, and what the header says in texts and numbers."""
    with whole("GGUF"):
        header = GgufHeader.read(path)
    metadata = {
        name: str(value) for name, value in header.metadata.items() if isinstance(value, str | int | float)
    }
    directions = {
        name: _values(path, name, tensor)
        for name, tensor in header.tensors.items()
        if name.startswith(DIRECTION)
    }
    return Content(directions, metadata, counts="block_outputs")


def _values(path: Path, name: str, tensor: GgufTensor) -> Values:
    from gguf import GGMLQuantizationType

    kind = GGMLQuantizationType(tensor.kind)
    whole_numbers = {GGMLQuantizationType[number] for number in ("I8", "I16", "I32", "I64")}
    refused = floats_only(kind.name) if kind in whole_numbers else ""
    return Values(tensor.shape, lambda: _read(path, tensor), _FIRST if name == f"{DIRECTION}0" else refused)


def _read(path: Path, tensor: GgufTensor) -> NDArray[np.float32]:
    with whole("GGUF"):
        return dequantized(path, tensor)


def hinted_family(metadata: dict[str, str], family: str) -> str | None:
    """Return the family that a control vector says it is for, if it is not the base's."""
    hint = metadata.get(HINT)
    if not hint:
        return None
    hinted, own = (_plain(name) for name in (hint, family))
    same = any(mine.startswith(others) for mine, others in [(hinted, own), (own, hinted)])
    return None if same or own.startswith(_SAME.get(hinted, ())) else hint


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
