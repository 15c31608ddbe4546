"""Counts in the header of a GGUF file are believed as far as the file is long."""

from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from vector_files import WIDTH, control, refused

from coherence.engine.artefacts.vectors.control_header import check_header


def header(tensors: int = 0, said: int = 0, then: bytes = b"", order: str = "little") -> bytes:
    numbers = [(3, 4), (tensors, 8), (said, 8)]
    return b"GGUF" + b"".join(value.to_bytes(size, order) for value, size in numbers) + then  # type: ignore[arg-type]


def text(written: bytes, length: int | None = None) -> bytes:
    return (len(written) if length is None else length).to_bytes(8, "little") + written


def numbers(*pairs: tuple[int, int]) -> bytes:
    return b"".join(value.to_bytes(size, "little") for value, size in pairs)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (header(tensors=2**63), "it counts more than 200,000 values and tensors"),
        (header(said=2**63), "it counts more than 200,000 values and tensors"),
        (header(said=1, then=text(b"a", 2**62)), "it is not a whole GGUF file: its header speaks of"),
        (
            header(said=1, then=text(b"a") + numbers((9, 4), (4, 4), (2**60, 8))),
            "it counts more than 200,000",
        ),
        (
            header(said=1, then=text(b"a") + numbers((9, 4), (8, 4), (2**60, 8))),
            "it counts more than 200,000",
        ),
        (
            header(said=1, then=text(b"a") + numbers((9, 4), (9, 4), (1, 8))),
            "it is not a whole GGUF file: no value",
        ),
        (
            header(said=1, then=text(b"a") + numbers((77, 4))),
            "it is not a whole GGUF file: no value is of the type",
        ),
        (header(tensors=1, then=text(b"a") + numbers((2**31, 4))), "found a tensor of 2,147,483,648 axes"),
        (b"GGUF", "it is not a whole GGUF file: its header speaks of 8 bytes, and there are 4"),
        (b"", "it is not a whole GGUF file: its header speaks of 4 bytes, and there are 0"),
        (b"PK\x03\x04" * 9, "it is not a whole GGUF file: it does not begin with GGUF"),
    ],
)
def test_more_than_there_is_is_refused_at_once(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "v.gguf"
    path.write_bytes(content)
    started = monotonic()
    assert refused(path, "resid_post.1").startswith(sentence)
    assert monotonic() - started < 5


def test_a_whole_file_is_left_to_its_reader(tmp_path: Path) -> None:
    check_header(control(tmp_path / "v.gguf", {1: np.ones(WIDTH, np.float32)}))
