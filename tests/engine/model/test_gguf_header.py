from pathlib import Path
from time import monotonic

import gguf
import numpy as np
import pytest
from gguf_base import written
from tiny import CHATML
from vector_files import WIDTH, control, load, refused

from coherence import limits
from coherence.engine.model.gguf_header import GgufHeader, Texts
from coherence.errors import ArtefactError


@pytest.fixture(scope="module")
def quantized(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tiny, tmp_path_factory.mktemp("gguf") / "tiny.gguf", "Q8_0")


def _bytes(tensor: gguf.ReaderTensor) -> tuple[int, ...]:
    """Shape of what a tensor is in a file: the reader of gguf shows plain numbers as such."""
    *rows, row = tensor.data.shape
    return (*rows, row * tensor.data.itemsize)


def test_a_header_is_what_the_reader_of_gguf_finds(quantized: Path) -> None:
    found, expected = GgufHeader.of(quantized), gguf.GGUFReader(quantized)
    assert {name: (one.shape, one.kind, one.start, one.in_bytes) for name, one in found.tensors.items()} == {
        one.name: (tuple(map(int, reversed(one.shape))), one.tensor_type, one.data_offset, _bytes(one))
        for one in expected.tensors
    }
    fields = {name: field for name, field in expected.fields.items() if not name.startswith("GGUF.")}
    assert found.metadata.keys() == fields.keys()
    for name, value in found.metadata.items():
        if isinstance(value, Texts):
            assert [value[place] for place in (0, len(value) - 1)] == [
                fields[name].contents(0),
                fields[name].contents(len(value) - 1),
            ]
        elif value is not None:
            assert value == fields[name].contents()
    assert (found.architecture, found.template, found.end) == ("llama", CHATML, "<|im_end|>")
    assert found.parameters == sum(int(np.prod(tensor.shape)) for tensor in expected.tensors)


@pytest.mark.parametrize("cut", [0, 3, 20, 200, 2000, -1])
def test_a_file_that_is_cut_off(quantized: Path, tmp_path: Path, cut: int) -> None:
    whole = quantized.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: cut if cut >= 0 else len(whole) // 2])
    with pytest.raises(ArtefactError, match=r"^cannot be loaded: cut.gguf is not a whole GGUF file: it"):
        GgufHeader.of(path)


def header(tensors: int = 0, values: int = 0, then: bytes = b"", version: int = 3) -> bytes:
    return b"GGUF" + numbers((version, 4), (tensors, 8), (values, 8)) + then


def text(written: bytes, length: int | None = None) -> bytes:
    return numbers((len(written) if length is None else length, 8)) + written


def numbers(*pairs: tuple[int, int]) -> bytes:
    return b"".join(value.to_bytes(size, "little") for value, size in pairs)


def value(kind: int, written: bytes = b"", name: bytes = b"a") -> bytes:
    return text(name) + numbers((kind, 4)) + written


def tensor(*shape: int, kind: int = 0, place: int = 0) -> bytes:
    lengths = [(length, 8) for length in shape]
    return text(b"direction.1") + numbers((len(shape), 4), *lengths, (kind, 4), (place, 8))


TEXT, LIST, U32 = 8, 9, 4
SPOILT = {
    "no bytes": (b"", "it does not begin with GGUF"),
    "nothing but its name": (b"GGUF", "its header speaks of 8 bytes, and there are 4"),
    "another format": (b"PK\x03\x04" * 9, "it does not begin with GGUF"),
    "the first version": (
        header(version=1),
        "it is of the version 1; expected version 2 or 3, little-endian",
    ),
    "big-endian": (header(version=3 << 24), "it is big-endian; expected version 2 or 3, little-endian"),
    "tensors without end": (header(2**63), "it counts 9,223,372,036,854,775,808 tensors or values; expected"),
    "values without end": (
        header(0, 2**63),
        "it counts 9,223,372,036,854,775,808 tensors or values; expected",
    ),
    "a name without end": (header(0, 1, text(b"a", 2**62)), "its header speaks of"),
    "numbers without end": (header(0, 1, value(LIST, numbers((U32, 4), (2**60, 8)))), "its header speaks of"),
    "texts without end": (header(0, 1, value(LIST, numbers((TEXT, 4), (2**60, 8)))), "it counts 1,152,921,5"),
    "a list of lists": (header(0, 1, value(LIST, numbers((LIST, 4), (1, 8)))), "no value is of the type 9"),
    "another type": (header(0, 1, value(77)), "no value is of the type 77"),
    "too many axes": (header(1, 0, tensor(*[1] * 9)), "it has a tensor of 9 axes; expected 1 to 8"),
    "no axes": (header(1, 0, tensor()), "it has a tensor of 0 axes; expected 1 to 8"),
    "another type of tensor": (header(1, 0, tensor(1, kind=99)), "99 is not a valid GGMLQuantizationType"),
    "half a block": (header(1, 0, tensor(33, kind=8)), "Quantized tensor row size (33) is not a multiple of"),
    "larger than the file": (header(1, 0, tensor(2**40)), "it ends before its last tensor does"),
    "beyond the file": (header(1, 0, tensor(1, place=2**40)), "it ends before its last tensor does"),
    "no alignment": (
        header(0, 1, value(U32, numbers((0, 4)), b"general.alignment")),
        "its alignment is 0; expected a number of bytes",
    ),
    "an alignment of words": (
        header(0, 1, value(TEXT, text(b"x"), b"general.alignment")),
        "its alignment is 'x'; expected a number of bytes",
    ),
}


@pytest.mark.parametrize(("content", "says"), SPOILT.values(), ids=SPOILT)
def test_what_a_file_counts_is_believed_as_far_as_it_is_long(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "v.gguf"
    path.write_bytes(content)
    started = monotonic()
    with pytest.raises(ArtefactError) as caught:
        GgufHeader.of(path)
    assert caught.value.sentence.startswith(f"cannot be loaded: v.gguf is not a whole GGUF file: {says}")
    assert refused(path, "resid_post.1").startswith(f"it is not a whole GGUF file: {says}")
    assert monotonic() - started < 5


def test_a_text_is_no_longer_than_a_header_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = control(tmp_path / "v.gguf", {1: np.ones(WIDTH, np.float32)}, hint="a" * 100)
    assert load(path, "resid_post.1").metadata["controlvector.model_hint"] == "a" * 100
    monkeypatch.setattr(limits, "HEADER_BYTES", 99)
    path.write_bytes(path.read_bytes() + b"\0")
    assert refused(path, "resid_post.1") == "it is not a whole GGUF file: it has a text of more than 99 bytes"


def test_few_texts_are_in_all_lists_together(quantized: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = len(GgufHeader.of(quantized).metadata["tokenizer.ggml.tokens"])
    monkeypatch.setattr(limits, "TEXTS", words)
    quantized.touch()
    with pytest.raises(ArtefactError, match=rf"texts in lists; expected at most {words}$"):
        GgufHeader.of(quantized)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"cannot be read: No such file"):
        GgufHeader.of(tmp_path / "lost.gguf")


def test_the_end_of_a_vocabulary(quantized: Path) -> None:
    tokens = GgufHeader.of(quantized).metadata["tokenizer.ggml.tokens"]
    with pytest.raises(IndexError):
        tokens[len(tokens)]
