"""Files of torch.save: what is in them, and what is never run."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from vector_files import BLOCKS, WIDTH, constant, load, refused, rows

from coherence import limits


class Code:
    """A pickle of it runs code where it is read."""

    def __reduce__(self) -> Any:
        return print, ("it ran",)


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(held: Any, **how: Any) -> Path:
        torch.save(held, tmp_path / "v.pt", **how)
        return tmp_path / "v.pt"

    return save


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_is_read(saved: Any, dtype: torch.dtype) -> None:
    assert constant(load(saved(torch.from_numpy(rows(BLOCKS + 1)).to(dtype)), "resid_post.1")) == 12


def test_the_layout_in_memory_does_not_matter(saved: Any) -> None:
    wide = torch.from_numpy(rows(BLOCKS + 1)).T.contiguous().T
    assert constant(load(saved(wide), "resid_post.1")) == 12
    assert constant(load(saved(torch.tensor(7.0).expand(WIDTH)), "resid_post.1")) == 7
    assert constant(load(saved(torch.full((WIDTH,), 7.0, requires_grad=True)), "resid_post.1")) == 7
    assert constant(load(saved(torch.nn.Parameter(torch.full((WIDTH,), 7.0))), "resid_post.1")) == 7


def test_files_of_older_versions_are_read(saved: Any) -> None:
    path = saved(torch.from_numpy(rows(BLOCKS + 1)), _use_new_zipfile_serialization=False)
    assert constant(load(path, "resid_post.1")) == 12
    path.write_bytes(path.read_bytes()[:-9])
    assert refused(path, "resid_post.1").startswith("it is not a whole torch file")


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    ("held", "code"),
    [
        (Path("code"), "pathlib"),
        ({"vector": np.ones(WIDTH)}, "numpy._core.multiarray._reconstruct"),
        ({"vector": torch.ones(WIDTH), "more": Code()}, "print"),
    ],
)
def test_code_is_never_run(
    saved: Any, held: Any, code: str, older: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refused(saved(held, _use_new_zipfile_serialization=not older), "resid_post.1")
    assert sentence.startswith("it cannot be read without running code (")
    assert code in sentence
    assert sentence.endswith("; save its tensors alone, or in dicts")
    assert "it ran" not in capsys.readouterr().out


def _sparse(length: int) -> torch.Tensor:
    return torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.int64), torch.ones(1), (length,))


def _quantised() -> torch.Tensor:
    return torch.quantize_per_tensor(torch.ones(WIDTH), 0.1, 0, torch.quint8)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: torch.ones(WIDTH, dtype=torch.complex64),
            "found values of torch.complex64, ",
        ),
        (_quantised, "found values of torch.quint8, expected floating point"),
        (lambda: _sparse(WIDTH), "found values in the layout torch.sparse_coo, expected torch.strided"),
        (lambda: _sparse(10**12), "found values in the layout torch.sparse_coo, expected torch.strided"),
        (
            lambda: torch.ones(WIDTH, device="meta"),
            "found a tensor on the meta device: a shape",
        ),
        (
            lambda: torch.ones(10**12, device="meta"),
            "found a tensor on the meta device: a shape",
        ),
        (lambda: torch.ones(1).expand(10**9, 10**3), "found 1000, expected 6, the width of the base"),
        (lambda: {"a": torch.ones(WIDTH), 1: 3, "1": 4}, "it has two parts that are called '1'"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_without_such_values_are_refused(saved: Any, make: Callable[[], Any], sentence: str) -> None:
    assert refused(saved(make()), "resid_post.1").startswith(sentence)


def test_what_holds_itself_is_refused(saved: Any) -> None:
    held: dict[str, Any] = {"vector": torch.ones(WIDTH)}
    held["again"] = held
    assert refused(saved(held), "resid_post.1").startswith("its parts are more than 16 deep")


def test_the_same_part_many_times_over_is_refused(saved: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PARTS", 1000)
    many: Any = [0]
    for _ in range(12):
        many = [many] * 10
    assert refused(saved(many), "resid_post.1").endswith("or more than 1,000")


def test_compressed_parts_are_refused(saved: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved(torch.zeros(10**6))) as stored:
        parts = {part.filename: stored.read(part) for part in stored.infolist()}
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    sentence = refused(tmp_path / "packed.pt", "resid_post.1")
    assert sentence.startswith("its part v/")
    assert sentence.endswith(" is compressed; save it again with torch.save")


@pytest.mark.parametrize("layer", [2, 2.0, "2", "layer_2", torch.tensor(2)])
def test_a_layer_is_spelled_in_many_ways(saved: Any, layer: Any) -> None:
    path = saved({"vector": torch.ones(WIDTH), "layer": layer})
    assert str(load(path, None, "block_outputs").site) == "resid_post.2"


@pytest.mark.parametrize("layer", [-1, 10**8, "the last"])
def test_a_layer_of_no_model_is_refused(saved: Any, layer: Any) -> None:
    path = saved({"vector": torch.ones(WIDTH), "layer": layer})
    assert refused(path).startswith(f"it says that its layer is {layer!r}, expected a number")


@pytest.mark.parametrize("layer", [None, True, [1, 2], {"a": 1}, 2.5, pytest.param(10**300, id="huge")])
def test_what_is_no_layer_says_nothing(saved: Any, layer: Any) -> None:
    path = saved({"vector": torch.ones(WIDTH), "layer": layer})
    assert constant(load(path, "resid_post.1")) == 1


def test_text_is_named_by_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "v.pt"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert refused(path, "resid_post.1") == (
        "it is not a torch file: it begins with b'version https://git-lfs.'; expected what torch.save writes"
    )
