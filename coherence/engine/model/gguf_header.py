"""What a GGUF file says before its tensors, of a model or of a control vector; neither is read with it.

For the format see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The reader of the gguf package
believes every count in a file, and makes objects of every token, which takes longer than all else that a warm
run does.
"""

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import Any

from coherence import limits
from coherence.errors import ArtefactError

GGUF = ".gguf"
# Of a control vector: its architecture, the names of its tensors without the block, the family it is for.
CONTROL_VECTOR, DIRECTION, HINT = "controlvector", "direction.", "controlvector.model_hint"
_MAGIC = b"GGUF"
# Numbers of the types of values, with how struct calls them.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
_VERSIONS = (2, 3)
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
class GgufTensor:
    """A tensor in a file: its shape, in torch's order, the number of its type, and where its bytes begin.

    `in_bytes` is the shape that the bytes have: the rows of a quantized tensor are of another length.
    """

    shape: tuple[int, ...]
    kind: int
    start: int
    in_bytes: tuple[int, ...]


@dataclass(frozen=True)
class GgufHeader:
    """Metadata and tensors by name. Of lists only those of texts are kept, as `Texts`."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]

    @classmethod
    def of(cls, path: Path) -> "GgufHeader":
        """Read the header of a model; an ArtefactError when the file is not what that tells of."""
        try:
            return cls.read(path)
        except OSError as problem:
            raise ArtefactError(f"{path} cannot be read: {problem.strerror or problem}") from problem
        except ValueError as problem:
            raise ArtefactError(
                f"cannot be loaded: {path.name} is not a whole GGUF file: {problem}"
            ) from problem

    @classmethod
    def read(cls, path: Path) -> "GgufHeader":
        """Read the header of a file; a ValueError says why it is not a whole one of this format."""
        status = path.stat()
        return _read(path, status.st_size, status.st_mtime_ns)

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the family."""
        return str(self.metadata.get("general.architecture", "nothing"))

    @property
    def is_adapter(self) -> bool:
        """Whether it says that its tensors are put on top of a model's, and are none of their own."""
        return self.metadata.get("general.type") == "adapter"

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
        return sum(prod(tensor.shape) for tensor in self.tensors.values())


class _Cursor:
    """Reads values one after the other. What goes beyond the end, or counts too much, is a ValueError."""

    def __init__(self, content: mmap.mmap | bytes, place: int = 0) -> None:
        self._content, self.place = content, place
        self._texts = 0

    def copy(self) -> "_Cursor":
        return _Cursor(self._content, self.place)

    def number(self, kind: str) -> Any:  # noqa: ANN401
        place = self.place
        self._pass(struct.calcsize(f"<{kind}"))
        (value,) = struct.unpack_from(f"<{kind}", self._content, place)
        return value

    def text(self) -> str:
        first = self.place + _LENGTH.size
        self.pass_text()
        if self.place - first > limits.HEADER_BYTES:
            raise ValueError(f"it has a text of more than {limits.HEADER_BYTES:,} bytes")
        return self._content[first : self.place].decode("utf-8", errors="replace")

    def pass_text(self) -> None:
        self._pass(self.number("Q"))

    def value(self, kind: int) -> Any:  # noqa: ANN401
        if kind == _TEXT:
            return self.text()
        if kind != _ARRAY:
            return self.number(_scalar(kind))
        of, count = self.number("I"), self.number("Q")
        if of != _TEXT:
            self._pass(count * struct.calcsize(_scalar(of)))
            return None
        return self._list_of_texts(count)

    def times(self, count: int) -> Iterator[int]:
        """Count tensors or values, which are read one by one."""
        if count > limits.PARTS:
            raise ValueError(f"it counts {count:,} tensors or values; expected at most {limits.PARTS:,}")
        return iter(range(count))

    def _list_of_texts(self, count: int) -> Texts:
        self._texts += count
        if self._texts > limits.TEXTS:
            raise ValueError(f"it counts {self._texts:,} texts in lists; expected at most {limits.TEXTS:,}")
        texts, place, last = Texts(self.copy(), count), self.place, len(self._content) - _LENGTH.size
        # Not by `pass_text`: a vocabulary has some hundred thousand.
        for _ in range(count):
            if place > last:
                place += _LENGTH.size
                break
            place += _LENGTH.size + _LENGTH.unpack_from(self._content, place)[0]
        self._pass(place - self.place)
        return texts

    def _pass(self, length: int) -> None:
        self.place += length
        if self.place > len(self._content):
            raise ValueError(
                f"its header speaks of {self.place:,} bytes, and there are {len(self._content):,}"
            )


def _scalar(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"no value is of the type {kind}")
    return _SCALARS[kind]


@lru_cache(maxsize=8)
def _read(path: Path, size: int, written: int) -> GgufHeader:
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    cursor = _Cursor(content, len(_MAGIC))
    if content[: len(_MAGIC)] != _MAGIC:
        raise ValueError("it does not begin with GGUF")
    version = cursor.number("I")
    if version not in _VERSIONS:
        # Of a file for big-endian machines the bytes of the version are the other way round.
        kind = f"of the version {version}" if version & 0xFFFF else "big-endian"
        raise ValueError(f"it is {kind}; expected version 2 or 3, little-endian")
    tensors, values = cursor.number("Q"), cursor.number("Q")
    metadata = {cursor.text(): cursor.value(cursor.number("I")) for _ in cursor.times(values)}
    table = [_entry(cursor) for _ in cursor.times(tensors)]
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"its alignment is {alignment!r}; expected a number of bytes")
    first = -(-cursor.place // alignment) * alignment
    return GgufHeader(
        metadata, {name: _tensor(shape, kind, first + offset, size) for name, shape, kind, offset in table}
    )


def _entry(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    """Read what the table of tensors says of one: its name, shape, type, and place among the others."""
    name, axes = cursor.text(), cursor.number("I")
    if not 1 <= axes <= limits.RANK:
        raise ValueError(f"it has a tensor of {axes:,} axes; expected 1 to {limits.RANK}")
    lengths = [cursor.number("Q") for _ in range(axes)]
    return name, tuple(reversed(lengths)), cursor.number("I"), cursor.number("Q")


def _tensor(shape: tuple[int, ...], kind: int, start: int, size: int) -> GgufTensor:
    # Imported here because most runs read no GGUF file.
    from gguf import GGMLQuantizationType
    from gguf.quants import quant_shape_to_byte_shape

    in_bytes = quant_shape_to_byte_shape(shape, GGMLQuantizationType(kind))
    if start + prod(in_bytes) > size:
        raise ValueError("it ends before its last tensor does")
    return GgufTensor(shape, kind, start, in_bytes)
