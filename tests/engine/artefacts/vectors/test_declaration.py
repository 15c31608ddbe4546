"""What the file says held against what the suite says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vector_files import BLOCKS, WIDTH, constant, load, refused, rows, write

ENDINGS = ["npy", "npz", "pt", "safetensors"]


@pytest.fixture(params=ENDINGS)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A stack in each container; row k holds k + 10."""

    def make(count: int) -> Path:
        held = rows(count) if request.param in ("npy", "pt") else {"vectors": rows(count)}
        return write(tmp_path / f"stack.{request.param}", held)

    return make


# --- stacks


@pytest.mark.parametrize("layers", [None, "hidden_states"])
@pytest.mark.parametrize(
    ("site", "row"),
    [("resid_pre.0", 0), ("resid_post.0", 1), ("resid_pre.1", 1), ("resid_post.2", 3), ("resid_pre.3", 3)],
)
def test_hidden_states_are_counted_from_the_embeddings(stack: Any, site: str, row: int, layers: Any) -> None:
    vector = load(stack(BLOCKS + 1), site, layers)
    assert constant(vector) == row + 10
    assert str(vector.site) == site


@pytest.mark.parametrize(
    ("site", "row"),
    [("resid_post.0", 0), ("resid_pre.1", 0), ("resid_post.2", 2), ("resid_pre.3", 2), ("resid_post.3", 3)],
)
def test_block_outputs_are_counted_from_the_first_block(stack: Any, site: str, row: int) -> None:
    assert constant(load(stack(BLOCKS), site, "block_outputs")) == row + 10


@pytest.mark.parametrize(
    ("site", "row"), [("resid_pre.0", 0), ("resid_post.0", 1), ("resid_post.2", 3), ("resid_pre.3", 3)]
)
def test_block_inputs_begin_with_the_embeddings(stack: Any, site: str, row: int) -> None:
    # hidden_states[:-1] has as many rows as blocks, and is one layer off from their outputs.
    assert constant(load(stack(BLOCKS), site, "block_inputs")) == row + 10


def test_as_many_rows_as_blocks_are_two_things(stack: Any) -> None:
    assert refused(stack(BLOCKS), "resid_post.1") == (
        "found 4 rows, which may be the outputs of the blocks, or hidden states without the last; "
        "write `layers: block_outputs` or `layers: block_inputs` beside its path"
    )


@pytest.mark.parametrize(
    ("count", "layers", "site", "sentence"),
    [
        (
            5,
            None,
            "resid_post.3",
            "the last row of hidden states is after the final norm, and not resid_post.3",
        ),
        (4, "block_outputs", "resid_pre.0", "block outputs have no row for resid_pre.0, which comes before "),
        (4, "block_inputs", "resid_post.3", "block inputs have no row for resid_post.3, which comes after "),
        (5, None, None, "the file does not say its site; write `site:` beside its path, such as "),
    ],
)
def test_rows_that_are_not_there_are_refused(
    stack: Any, count: int, layers: Any, site: str | None, sentence: str
) -> None:
    assert refused(stack(count), site, layers).startswith(sentence)


@pytest.mark.parametrize("count", [2, BLOCKS - 1, BLOCKS + 2])
def test_a_convention_that_cannot_be_told_is_refused(stack: Any, count: int) -> None:
    sentence = f"found {count} rows, expected 5 (hidden_states) or 4 (block_outputs or block_inputs)"
    assert refused(stack(count), "resid_post.1") == sentence


@pytest.mark.parametrize(
    ("count", "layers", "expected"),
    [(4, "hidden_states", 5), (5, "block_outputs", 4), (5, "block_inputs", 4)],
)
def test_a_told_convention_must_fit_the_rows(stack: Any, count: int, layers: str, expected: int) -> None:
    sentence = f"found {count} rows, expected {expected} for `layers: {layers}`"
    assert refused(stack(count), "resid_post.1", layers) == sentence


def test_axes_of_one_are_no_stacks(tmp_path: Path) -> None:
    for shape in ((1, WIDTH), (1, 1, WIDTH)):
        path = write(tmp_path / "v.npy", np.full(shape, 7, np.float32))
        assert constant(load(path, "resid_post.1")) == 7
    path = write(tmp_path / "v.npy", rows(BLOCKS + 1)[:, None])
    assert constant(load(path, "resid_post.1")) == 12


@pytest.mark.parametrize("shape", [(2, 3, WIDTH), (2, BLOCKS + 1, WIDTH)])
def test_more_axes_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write(tmp_path / "v.npy", np.ones(shape, np.float32))
    sentence = f"found the shape {list(shape)}, expected [6], [4, 6] or [5, 6]"
    assert refused(path, "resid_post.1") == sentence


def test_a_list_of_rows_is_a_stack(tmp_path: Path) -> None:
    path = write(tmp_path / "v.pt", [*rows(BLOCKS)])
    assert constant(load(path, "resid_post.2", "block_outputs")) == 12
    assert refused(path, "resid_post.2").startswith("found 4 rows, which may be")


def test_the_layer_beside_a_stack_is_where_it_is_added_unless_the_suite_says_more(tmp_path: Path) -> None:
    path = write(tmp_path / "v.pt", {"vector": rows(BLOCKS), "layer": 2})
    assert str(load(path, None, "block_outputs").site) == "resid_post.2"
    assert constant(load(path, "resid_post.1", "block_outputs")) == 11


# --- layers by number


def layered(path: Path, numbers: range | list[int]) -> Path:
    return write(path, {f"layer_{number}": rows(9)[number] for number in numbers})


@pytest.mark.parametrize("ending", ["npz", "pt", "safetensors"])
def test_what_a_number_counts_is_asked(tmp_path: Path, ending: str) -> None:
    path = layered(tmp_path / f"v.{ending}", [1, 2, 3])
    assert refused(path, "resid_post.2") == (
        "it does not say what layer 3 is; write `layers: block_outputs` (the output of block 3, "
        "resid_post.3) or `layers: hidden_states` (hidden_states[3], resid_pre.3)"
    )
    assert constant(load(path, "resid_post.2", "block_outputs")) == 12
    assert constant(load(path, "resid_post.2", "hidden_states")) == 13
    assert constant(load(path, "resid_post.2", "block_inputs")) == 13


def test_one_layer_more_than_blocks_are_hidden_states(tmp_path: Path) -> None:
    path = layered(tmp_path / "v.npz", range(BLOCKS + 1))
    assert constant(load(path, "resid_post.2")) == 13
    assert refused(path, "resid_post.3").startswith("the last row of hidden states is after the final norm")
    sentence = "found layer 4, expected at most 3, the last of the base"
    assert refused(path, "resid_post.2", "block_outputs") == sentence


def test_layers_that_the_base_has_not_are_refused(tmp_path: Path) -> None:
    path = layered(tmp_path / "v.npz", [2, 7])
    assert refused(path, "resid_post.1") == "found layer 7, expected at most 4, the last of the base"


def test_a_missing_layer_lists_the_others(tmp_path: Path) -> None:
    path = layered(tmp_path / "v.npz", [1, 3])
    sentence = "resid_post.2 needs layer_2; found layer_1, layer_3"
    assert refused(path, "resid_post.2", "block_outputs") == sentence
    assert refused(path, None, "block_outputs").startswith("the file does not say its site")


def test_names_of_points_need_no_convention(tmp_path: Path) -> None:
    held = {"blocks.1.hook_resid_post": rows(1)[0], "blocks.1.hook_resid_pre": rows(2)[1]}
    path = write(tmp_path / "v.npz", held)
    assert constant(load(path, "resid_post.1")) == 10
    assert constant(load(path, "resid_post.0")) == 11
    assert refused(path, "resid_pre.0") == (
        "it has nothing at resid_pre.0; found blocks.1.hook_resid_pre, blocks.1.hook_resid_post"
    )
    assert refused(path, "resid_post.1", "hidden_states").startswith("`layers: hidden_states` is for stacks")


def test_two_at_one_site_need_a_key(tmp_path: Path) -> None:
    held = {"blocks.0.hook_resid_post": rows(1)[0], "blocks.1.hook_resid_pre": rows(2)[1]}
    path = write(tmp_path / "v.npz", held)
    assert refused(path, "resid_post.0").endswith("are all at resid_post.0; write `key:` beside its path")
    assert constant(load(path, "resid_post.0", key="blocks.1.hook_resid_pre")) == 11


# --- one vector that says its layer


@pytest.mark.parametrize("ending", ["npz", "pt", "safetensors"])
def test_a_layer_beside_a_vector_must_be_the_suites(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"v.{ending}", {"vector": rows(1)[0], "layer": 2})
    assert str(load(path, None, "block_outputs").site) == "resid_post.2"
    assert str(load(path, None, "hidden_states").site) == "resid_post.1"
    assert str(load(path, "resid_pre.3", "block_outputs").site) == "resid_pre.3"
    assert refused(path, "resid_post.2").startswith("it does not say what layer 2 is; write `layers:")
    sentence = "the suite says resid_post.1, but the file says resid_post.2"
    assert refused(path, "resid_post.1", "block_outputs") == sentence


def test_a_site_beside_a_vector_needs_no_convention(tmp_path: Path) -> None:
    path = write(tmp_path / "v.pt", {"vector": rows(1)[0], "layer": 2, "site": "resid_post.2"})
    assert str(load(path).site) == "resid_post.2"
    assert refused(path, "resid_post.1") == "the suite says resid_post.1, but the file says resid_post.2"


def test_a_layer_that_is_no_number_is_refused(tmp_path: Path) -> None:
    held = {"vector": rows(1)[0], "layer": "model.layers[2].mlp"}
    sentence = "it says that its layer is 'model.layers[2].mlp', expected a number such as 14"
    assert refused(write(tmp_path / "v.pt", held), "resid_post.2") == sentence


@pytest.mark.parametrize("layers", ["block_outputs", "hidden_states", "block_inputs"])
def test_one_vector_has_no_convention(tmp_path: Path, layers: str) -> None:
    path = write(tmp_path / "v.npy", rows(1)[0])
    assert refused(path, "resid_post.3", layers).endswith("this one holds one vector")
    assert refused(path).startswith("the file does not say its site")


def test_a_vector_after_the_final_norm_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "v.pt", {"vector": rows(1)[0], "layer": BLOCKS})
    assert refused(path) == "the last row of hidden states is after the final norm"
