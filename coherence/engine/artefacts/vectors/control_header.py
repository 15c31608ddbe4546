"""What a GGUF file says before its tensors, walked through: its reader believes every count in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from coherence import limits
from coherence.engine.artefacts.vectors.unfit import UnfitError

_MAGIC = b"GGUF"
# Bytes of a value of each type; texts and lists say how long they are.
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _LIST = 8, 9


def check_header(path: Path) -> None:
    """Raise an UnfitError where a file counts more than there is in it, or than there may be."""
    with path.open("rb") as file:
        header = _Header(file.read(limits.HEADER_BYTES), path.stat().st_size)
    header.check()


class _Header:
    """The bytes that a file begins with, and how far they were read."""

    def __init__(self, content: bytes, length: int) -> None:
        self._content = content
        self._length = length
        self._at = 0
        self._parts = 0
        self._order: Literal["little", "big"] = "little"

    def check(self) -> None:
        if self._bytes(4) != _MAGIC:
            raise UnfitError("it is not a whole GGUF file: it does not begin with GGUF")
        if not self._number(4) & 0xFFFF:
            self._order = "big"
        tensors, count = self._number(8), self._number(8)
        for _ in self._times(count):
            self._text()
            self._value(self._number(4))
        for _ in self._times(tensors):
            self._text()
            axes = self._number(4)
            if axes > limits.RANK:
                raise UnfitError(f"found a tensor of {axes:,} axes, expected at most {limits.RANK}")
            self._bytes(8 * axes + 12)

    def _value(self, kind: int) -> None:
        if kind == _TEXT:
            self._text()
        elif kind == _LIST:
            inner, count = self._number(4), self._number(8)
            if inner == _TEXT:
                for _ in self._times(count):
                    self._text()
            else:
                self._count(count)
                self._bytes(count * self._size(inner))
        else:
            self._bytes(self._size(kind))

    def _size(self, kind: int) -> int:
        if kind not in _SIZES:
            raise UnfitError(f"it is not a whole GGUF file: no value is of the type {kind}")
        return _SIZES[kind]

    def _times(self, count: int) -> Iterator[int]:
        self._count(count)
        return iter(range(count))

    def _count(self, count: int) -> None:
        self._parts += count
        if self._parts > limits.PARTS:
            raise UnfitError(f"it counts more than {limits.PARTS:,} values and tensors, as no vectors do")

    def _text(self) -> None:
        self._bytes(self._number(8))

    def _number(self, size: int) -> int:
        return int.from_bytes(self._bytes(size), self._order)

    def _bytes(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._content):
            told = f"its header speaks of {self._at:,} bytes, and there are {self._length:,}"
            if self._at <= self._length:
                told = f"its header has more than {limits.HEADER_BYTES:,} bytes"
            raise UnfitError(f"it is not a whole GGUF file: {told}")
        return self._content[start : self._at]
