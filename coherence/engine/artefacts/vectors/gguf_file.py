"""Control vectors in GGUF, of repeng and llama.cpp: `direction.N` is added to the output of block N."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from coherence.engine.artefacts.vectors.content import Content, Values, floats_only
from coherence.engine.artefacts.vectors.control_header import check_header
from coherence.engine.artefacts.vectors.unfit import whole

if TYPE_CHECKING:
    from gguf import ReaderTensor

_DIRECTION = "direction."
_HINT = "controlvector.model_hint"
_FIRST = "direction.0 is never applied by llama.cpp: control vectors begin with the second block"
# What llama.cpp calls the families that transformers knows by other names.
_SAME = {"llama": ("mistral", "mixtral"), "commandr": ("cohere",)}


def read_gguf(path: Path) -> Content:
    """Read names and shapes of directions, and the header."""
    from gguf import GGUFReader

    check_header(path)
    with whole("GGUF"), np.errstate(all="ignore"):
        reader = GGUFReader(path)
        metadata = {name: str(field.contents()) for name, field in reader.fields.items() if "." in name}
        directions = {
            tensor.name: _values(tensor) for tensor in reader.tensors if tensor.name.startswith(_DIRECTION)
        }
    return Content(directions, metadata, counts="block_outputs")


def _values(tensor: "ReaderTensor") -> Values:
    from gguf import GGMLQuantizationType, dequantize

    kind = tensor.tensor_type
    whole_numbers = {GGMLQuantizationType[name] for name in ("I8", "I16", "I32", "I64")}
    refused = floats_only(kind.name) if kind in whole_numbers else ""
    shape = tuple(int(length) for length in reversed(tensor.shape))
    return Values(
        shape, lambda: dequantize(tensor.data, kind), _FIRST if tensor.name == f"{_DIRECTION}0" else refused
    )


def hinted_family(metadata: dict[str, str], family: str) -> str | None:
    """Return the family that a control vector says it is for, if it is not the base's."""
    hint = metadata.get(_HINT)
    if not hint:
        return None
    hinted, own = (_plain(name) for name in (hint, family))
    same = any(mine.startswith(others) for mine, others in [(hinted, own), (own, hinted)])
    return None if same or own.startswith(_SAME.get(hinted, ())) else hint


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
