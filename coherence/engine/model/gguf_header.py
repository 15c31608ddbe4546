"""What a GGUF file says of the model that it holds, read without its weights and without its vocabulary.

For the format see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The reader of the gguf package
makes objects of every token, which takes longer than all else that a warm run does.
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import Any

from coherence.errors import ArtefactError

GGUF = ".gguf"
_MAGIC = b"GGUF"
# Numbers of the types of values, with how struct calls them.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 32


class Texts:
    """A list of texts in a file, such as a vocabulary, of which few are asked for."""

    def __init__(self, file: "_Cursor", count: int) -> None:
        self._file, self._count = file, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < self._count:
            raise IndexError(index)
        file = self._file.copy()
        for _ in range(index):
            file.pass_text()
        return file.text()


@dataclass(frozen=True)
class GgufHeader:
    """Metadata by key, and of each tensor its shape, in torch's order, and the number of its type."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, tuple[tuple[int, ...], int]]

    @classmethod
    def of(cls, path: Path) -> "GgufHeader":
        """Read the header of a file; an ArtefactError when the file is not what that tells of."""
        try:
            status = path.stat()
            return _read(path, status.st_size, status.st_mtime_ns)
        except OSError as problem:
            raise ArtefactError(f"{path} cannot be read: {problem.strerror or problem}") from problem
        except (ValueError, KeyError, struct.error) as problem:
            raise ArtefactError(f"cannot be loaded: {path.name} is not a whole GGUF file") from problem

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the family."""
        return str(self.metadata.get("general.architecture", "nothing"))

    @property
    def template(self) -> str:
        """Text of the chat template, empty where there is none."""
        return str(self.metadata.get("tokenizer.chat_template", ""))

    @cached_property
    def end(self) -> str | None:
        """The token that is to end a reply; None where the file names none."""
        end, tokens = (self.metadata.get(f"tokenizer.ggml.{name}") for name in ("eos_token_id", "tokens"))
        return (
            tokens[end] if isinstance(tokens, Texts) and isinstance(end, int) and end < len(tokens) else None
        )

    @property
    def counts(self) -> dict[str, Any]:
        """How many layers and experts the model is said to have, as configs of transformers call them."""
        names = {"block_count": "num_hidden_layers", "expert_count": "num_experts"}
        return {
            named: self.metadata[f"{self.architecture}.{name}"]
            for name, named in names.items()
            if f"{self.architecture}.{name}" in self.metadata
        }

    @property
    def parts(self) -> int:
        """How many files the model was split into."""
        return int(self.metadata.get("split.count", 1)) or 1

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(prod(shape) for shape, _ in self.tensors.values())


class _Cursor:
    """Reads values one after the other; what goes beyond the end is a ValueError or a struct.error."""

    def __init__(self, content: mmap.mmap, place: int = 0) -> None:
        self._content, self.place = content, place

    def copy(self) -> "_Cursor":
        return _Cursor(self._content, self.place)

    def number(self, kind: str) -> Any:  # noqa: ANN401
        (value,) = struct.unpack_from(f"<{kind}", self._content, self.place)
        self.place += struct.calcsize(f"<{kind}")
        return value

    def text(self) -> str:
        first = self.place + _LENGTH.size
        self.pass_text()
        return self._content[first : self.place].decode("utf-8", errors="replace")

    def pass_text(self) -> None:
        self._pass(self.number("Q"))

    def value(self, kind: int) -> Any:  # noqa: ANN401
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            return self.number(_SCALARS[kind])
        of, count = self.number("I"), self.number("Q")
        if of != _TEXT:
            self._pass(count * struct.calcsize(_SCALARS[of]))
            return None
        texts, place = Texts(self.copy(), count), self.place
        for _ in range(count):
            place += _LENGTH.size + _LENGTH.unpack_from(self._content, place)[0]
        self._pass(place - self.place)
        return texts

    def _pass(self, length: int) -> None:
        self.place += length
        if self.place > len(self._content):
            raise ValueError("the file ends before")


@lru_cache(maxsize=8)
def _read(path: Path, size: int, written: int) -> GgufHeader:
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    cursor = _Cursor(content, len(_MAGIC))
    if content[: len(_MAGIC)] != _MAGIC or cursor.number("I") not in (2, 3):
        raise ValueError("another format, or an older one")
    tensors, values = cursor.number("Q"), cursor.number("Q")
    metadata = {cursor.text(): cursor.value(cursor.number("I")) for _ in range(values)}
    table = [_tensor(cursor) for _ in range(tensors)]
    alignment = int(metadata.get("general.alignment", _ALIGNMENT))
    first = -(-cursor.place // alignment) * alignment
    if any(first + offset + _bytes(shape, kind) > size for _, shape, kind, offset in table):
        raise ValueError("the file ends before its last tensor does")
    return GgufHeader(metadata, {name: (shape, kind) for name, shape, kind, _ in table})


def _tensor(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name = cursor.text()
    lengths = [cursor.number("Q") for _ in range(cursor.number("I"))]
    return name, tuple(reversed(lengths)), cursor.number("I"), cursor.number("Q")


def _bytes(shape: tuple[int, ...], kind: int) -> int:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    return prod(shape) // block * size
