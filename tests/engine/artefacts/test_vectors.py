import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file

from coherence.engine.artefacts.vectors import Vector, load_vector, save_vector
from coherence.errors import ArtefactError
from coherence.vocabulary import Site, VectorSource

WIDTH = 6
BLOCKS = 4


def load(path: Path, site: str | None = None, layers: Any = None) -> Vector:
    source = VectorSource(path=str(path), site=Site.parse(site) if site else None, layers=layers)
    return load_vector(source, WIDTH, BLOCKS, "pirate")


def refused(path: Path, site: str | None = None, layers: Any = None) -> str:
    with pytest.raises(ArtefactError) as caught:
        load(path, site, layers)
    start = f"the vector 'pirate' ({path}) cannot be used: "
    assert caught.value.sentence.startswith(start)
    return caught.value.sentence.removeprefix(start)


def is_constant(vector: Vector, constant: float) -> bool:
    return vector.values.dtype == np.float32 and vector.values.tolist() == [constant] * WIDTH


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "pirate.safetensors"
    save_vector(path, np.arange(WIDTH, dtype=np.float32), Site.parse("resid_post.2"), {"persona": "pirate"})
    return path


@pytest.fixture
def pt(tmp_path: Path) -> Callable[..., Path]:
    """Row k of the stack holds k + 10."""

    def make(rows: int, dtype: torch.dtype = torch.float32) -> Path:
        torch.save(torch.arange(10, 10 + rows)[:, None].expand(rows, WIDTH).to(dtype), tmp_path / "stack.pt")
        return tmp_path / "stack.pt"

    return make


@pytest.fixture
def tensor(tmp_path: Path) -> Callable[[Any], Path]:
    def make(held: Any) -> Path:
        torch.save(held, tmp_path / "held.pt")
        return tmp_path / "held.pt"

    return make


@pytest.fixture
def control(tmp_path: Path) -> Callable[..., Path]:
    """direction.N holds N + 10."""

    def make(numbers: range = range(1, BLOCKS), dtype: Any = np.float32) -> Path:
        writer = GGUFWriter(tmp_path / "control.gguf", "controlvector")
        writer.add_string("controlvector.model_hint", "llama")
        writer.add_uint32("controlvector.layer_count", len(numbers))
        for number in numbers:
            writer.add_tensor(f"direction.{number}", np.full(WIDTH, number + 10, dtype))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return tmp_path / "control.gguf"

    return make


# --- our own files


def test_what_was_saved_is_loaded(own: Path) -> None:
    vector = load(own)
    assert vector.values.tolist() == list(range(WIDTH))
    assert vector.values.dtype == np.float32
    assert vector.site == Site.parse("resid_post.2")
    assert vector.metadata == {"persona": "pirate", "site": "resid_post.2", "width": str(WIDTH)}


@pytest.mark.parametrize("told", ["resid_post.2", "resid_pre.3"])
def test_the_suite_may_repeat_the_site(own: Path, told: str) -> None:
    assert load(own, told).site == Site.parse(told)


def test_the_suite_may_not_contradict_the_site(own: Path) -> None:
    assert refused(own, "resid_post.1") == "the suite says resid_post.1, but the file says resid_post.2"


def test_a_file_without_a_site_takes_the_suites(tmp_path: Path) -> None:
    save_file({"vector": np.ones(WIDTH, np.float32)}, tmp_path / "v.safetensors")
    assert load(tmp_path / "v.safetensors", "resid_pre.0").site == Site.parse("resid_pre.0")
    assert refused(tmp_path / "v.safetensors").startswith("the file does not say its site; write `site:`")


def test_a_file_with_an_odd_site_is_refused(tmp_path: Path) -> None:
    save_file({"vector": np.ones(WIDTH, np.float32)}, tmp_path / "v.safetensors", {"site": "layer 3"})
    assert refused(tmp_path / "v.safetensors", "resid_post.3").startswith("'layer 3' is not a site; expected")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_float_becomes_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    save_torch_file({"vector": torch.full((WIDTH,), 1.5, dtype=dtype)}, tmp_path / "v.safetensors")
    assert is_constant(load(tmp_path / "v.safetensors", "resid_post.0"), 1.5)


def test_another_tensor_is_refused(tmp_path: Path) -> None:
    save_file({"a": np.ones(WIDTH, np.float32), "b": np.ones(1, np.float32)}, tmp_path / "v.safetensors")
    assert refused(tmp_path / "v.safetensors") == "found the tensors a, b, expected one named 'vector'"


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match=r"file/v.safetensors cannot be written: (Not a dir|File exists)"):
        save_vector(
            tmp_path / "file" / "v.safetensors", np.ones(2, np.float32), Site.parse("resid_pre.0"), {}
        )


# --- persona_vectors stacks


@pytest.mark.parametrize("layers", [None, "hidden_states"])
@pytest.mark.parametrize(
    ("site", "row"),
    [("resid_pre.0", 0), ("resid_post.0", 1), ("resid_pre.1", 1), ("resid_post.2", 3), ("resid_pre.3", 3)],
)
def test_hidden_states_are_counted_from_the_embeddings(
    pt: Callable[..., Path], site: str, row: int, layers: str | None
) -> None:
    vector = load(pt(BLOCKS + 1), site, layers)
    assert is_constant(vector, row + 10)
    assert vector.site == Site.parse(site)


@pytest.mark.parametrize("layers", [None, "block_outputs"])
@pytest.mark.parametrize(
    ("site", "row"),
    [("resid_post.0", 0), ("resid_pre.1", 0), ("resid_post.2", 2), ("resid_pre.3", 2), ("resid_post.3", 3)],
)
def test_block_outputs_are_counted_from_the_first_block(
    pt: Callable[..., Path], site: str, row: int, layers: str | None
) -> None:
    assert is_constant(load(pt(BLOCKS), site, layers), row + 10)


def test_the_row_after_the_final_norm_is_refused(pt: Callable[..., Path]) -> None:
    sentence = "the last row of hidden states is after the final norm, and not resid_post.3"
    assert refused(pt(BLOCKS + 1), "resid_post.3") == sentence


def test_block_outputs_have_no_embeddings(pt: Callable[..., Path]) -> None:
    assert refused(pt(BLOCKS), "resid_pre.0").startswith("block outputs have no row for resid_pre.0")


@pytest.mark.parametrize("rows", [1, BLOCKS - 1, BLOCKS + 2])
def test_a_convention_that_cannot_be_told_is_refused(pt: Callable[..., Path], rows: int) -> None:
    sentence = f"found {rows} rows, expected 5 (hidden_states) or 4 (block_outputs)"
    assert refused(pt(rows), "resid_post.1") == sentence


@pytest.mark.parametrize(("rows", "layers", "expected"), [(4, "hidden_states", 5), (5, "block_outputs", 4)])
def test_a_told_convention_must_fit_the_rows(
    pt: Callable[..., Path], rows: int, layers: str, expected: int
) -> None:
    sentence = f"found {rows} rows, expected {expected} for `layers: {layers}`"
    assert refused(pt(rows), "resid_post.1", layers) == sentence


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_stack_of_any_float_is_read(pt: Callable[..., Path], dtype: torch.dtype) -> None:
    assert is_constant(load(pt(BLOCKS + 1, dtype), "resid_post.1"), 12)


def test_a_single_vector_is_read(tensor: Callable[[Any], Path]) -> None:
    path = tensor(torch.full((WIDTH,), 7.0, requires_grad=True))
    assert is_constant(load(path, "resid_post.3"), 7)
    assert refused(path).startswith("the file does not say its site")
    assert refused(path, "resid_post.3", "block_outputs").endswith("this one holds one vector")


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ({"layer": torch.ones(WIDTH)}, "found a dict, expected one tensor"),
        (torch.ones(WIDTH, dtype=torch.int64), "found values of torch.int64, expected floating point"),
        (torch.ones(2, 3, WIDTH), "found the shape [2, 3, 6], expected [6], [4, 6] or [5, 6]"),
        (torch.ones(BLOCKS, 768), "found 768, expected 6, the width of the base"),
        (Path("code"), "it is not a tensor that torch can read without running code"),
    ],
)
def test_what_is_no_vector_is_refused(tensor: Callable[[Any], Path], held: Any, sentence: str) -> None:
    assert refused(tensor(held), "resid_post.1") == sentence


# --- GGUF control vectors


@pytest.mark.parametrize(
    ("site", "number"),
    [("resid_post.1", 1), ("resid_pre.2", 1), ("resid_post.2", 2), ("resid_pre.3", 2), ("resid_post.3", 3)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_direction_n_is_the_output_of_block_n(
    control: Callable[..., Path], site: str, number: int, dtype: Any
) -> None:
    vector = load(control(dtype=dtype), site)
    assert is_constant(vector, number + 10)
    assert vector.site == Site.parse(site)
    assert vector.metadata["controlvector.model_hint"] == "llama"


def test_a_missing_direction_lists_the_others(control: Callable[..., Path]) -> None:
    path = control(range(1, 3))
    assert refused(path, "resid_post.3") == "resid_post.3 needs direction.3; found direction.1, direction.2"


@pytest.mark.parametrize("site", ["resid_pre.0", "resid_post.0", "resid_pre.1"])
def test_the_first_block_has_no_direction(control: Callable[..., Path], site: str) -> None:
    sentence = f"control vectors have none for {site}; found direction.0, direction.1"
    assert refused(control(range(2)), site) == sentence


def test_a_control_vector_needs_a_site_and_no_convention(control: Callable[..., Path]) -> None:
    assert refused(control()).startswith("the file does not say its site")
    assert refused(control(), "resid_post.1", "hidden_states").startswith(
        "`layers: hidden_states` is for stacks"
    )


# --- every format


@pytest.mark.parametrize("ending", ["safetensors", "pt", "gguf"])
def test_a_damaged_file_is_a_sentence(
    ending: str, own: Path, pt: Callable[..., Path], control: Callable[..., Path]
) -> None:
    path = {"safetensors": own, "pt": pt(BLOCKS), "gguf": control()}[ending]
    whole = path.read_bytes()
    for length in [*random.Random(0).sample(range(len(whole) - 64), 40), 0, 1, 4, 8, 24]:
        path.write_bytes(whole[:length])
        assert re.match(r"it is not a (whole|tensor)", refused(path, "resid_post.2")), length


def test_a_missing_file_suggests_its_neighbour(own: Path) -> None:
    assert refused(own.with_name("pirat.safetensors")) == (
        "there is no such file; did you mean 'pirate.safetensors'?"
    )


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    sentence = "found the ending '.npy', expected one of .gguf, .pt, .safetensors"
    assert refused(tmp_path / "vector.npy", "resid_post.1") == sentence


@pytest.mark.parametrize("site", ["resid_post.4", "resid_pre.4", "resid_post.40"])
def test_a_site_beyond_the_last_block_is_refused(
    site: str, tmp_path: Path, pt: Callable[..., Path], control: Callable[..., Path]
) -> None:
    save_file({"vector": np.ones(WIDTH, np.float32)}, tmp_path / "v.safetensors")
    for path in (tmp_path / "v.safetensors", pt(BLOCKS + 1), control(range(1, 9))):
        sentence = f"found the site {site}, expected a block from 0 to 3, those of the base"
        assert refused(path, site) == sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.ones(768), "found 768, expected 6, the width of the base"),
        (np.ones((1, WIDTH)), "found the shape [1, 6], expected [6]"),
        (np.zeros(WIDTH), "all of its values are 0, which steers nowhere"),
        (np.full(WIDTH, np.nan), "found 6 values that are NaN or infinite"),
        (np.array([1, np.inf, 1, 1, 1, 1]), "found 1 values that are NaN or infinite"),
        (np.full(WIDTH, 1e300), "found 6 values that are NaN or infinite"),
    ],
)
def test_values_that_cannot_steer_are_refused(tmp_path: Path, values: Any, sentence: str) -> None:
    save_file({"vector": values}, tmp_path / "v.safetensors")
    assert refused(tmp_path / "v.safetensors", "resid_post.1") == sentence


def test_the_digest_is_of_the_values_and_their_depth(
    tmp_path: Path, pt: Callable[..., Path], control: Callable[..., Path]
) -> None:
    save_file({"vector": np.full(WIDTH, 12, np.float32)}, tmp_path / "v.safetensors")
    same = [
        load(tmp_path / "v.safetensors", "resid_post.2"),
        load(tmp_path / "v.safetensors", "resid_pre.3"),
        load(control(), "resid_post.2"),
        load(pt(BLOCKS), "resid_post.2"),
    ]
    assert len({vector.digest for vector in same}) == 1
    others = [load(tmp_path / "v.safetensors", "resid_post.1"), load(control(), "resid_post.1")]
    assert len({vector.digest for vector in [same[0], *others]}) == 3


@given(
    values=st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=WIDTH, max_size=WIDTH
    ),
    block=st.integers(0, BLOCKS - 1),
    stream=st.sampled_from(["pre", "post"]),
)
def test_saving_and_loading_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], block: int, stream: Any
) -> None:
    path = tmp_path_factory.mktemp("identity") / "v.safetensors"
    save_vector(path, np.array([*values[1:], 1], np.float32), Site(block, stream), {})
    found = load(path)
    assert found.values.tolist() == [*values[1:], 1]
    assert found.site == Site(block, stream)
