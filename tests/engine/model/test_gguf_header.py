from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf_base import written
from tiny import CHATML

from coherence.engine.model.gguf_header import GgufHeader, Texts
from coherence.errors import ArtefactError


@pytest.fixture(scope="module")
def quantized(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tiny, tmp_path_factory.mktemp("gguf") / "tiny.gguf", "Q8_0")


def test_a_header_is_what_the_reader_of_gguf_finds(quantized: Path) -> None:
    found, expected = GgufHeader.of(quantized), gguf.GGUFReader(quantized)
    assert {name: shape for name, (shape, _) in found.tensors.items()} == {
        tensor.name: tuple(int(length) for length in reversed(tensor.shape)) for tensor in expected.tensors
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
    with pytest.raises(ArtefactError, match=r"^cannot be loaded: cut.gguf is not a whole GGUF file$"):
        GgufHeader.of(path)


@pytest.mark.parametrize("content", [b"GGUF" + bytes(20), b"GGUF\3\0\0\0" + b"\xff" * 200, b"{}"])
def test_a_file_that_is_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"^cannot be loaded: other.gguf is not a whole GGUF file$"):
        GgufHeader.of(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"cannot be read: No such file"):
        GgufHeader.of(tmp_path / "lost.gguf")


def test_the_end_of_a_vocabulary(quantized: Path) -> None:
    tokens = GgufHeader.of(quantized).metadata["tokenizer.ggml.tokens"]
    with pytest.raises(IndexError):
        tokens[len(tokens)]
