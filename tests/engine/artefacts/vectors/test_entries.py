"""Which of the vectors in a file is taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vector_files import BLOCKS, WIDTH, constant, load, refused, rows, write

from coherence.engine.artefacts.vectors.content import DEEPEST

ONE = rows(1)[0]
STACK = rows(BLOCKS + 1)


def full(value: float) -> Any:
    return np.full(WIDTH, value, np.float32)


ROLES = {"pirate": full(1), "lawyer": full(2), "sailor": full(3)}
CAPPING = {
    "vectors": {
        "layer_1/contrast_role_pos3": {"layer": 1, "vector": full(1)},
        "layer_2/contrast_role_pos3": {"layer": 2, "vector": full(2)},
    },
    "experiments": [
        {"id": "layers_1:2", "interventions": [{"vector": "layer_1/contrast_role_pos3", "cap": 1.5}]}
    ],
}


@pytest.mark.parametrize("ending", ["pt", "npz", "safetensors"])
def test_a_key_names_one_of_several(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"roles.{ending}", ROLES)
    assert constant(load(path, "resid_post.1", key="lawyer")) == 2
    several = "it holds several vectors; write `key:` beside its path, one of lawyer, pirate, sailor"
    assert refused(path, "resid_post.1") == several
    near = "it holds nothing at `key: pirat`; did you mean 'pirate'?"
    assert refused(path, "resid_post.1", key="pirat") == near


def test_a_single_one_is_taken_without_a_key(tmp_path: Path) -> None:
    for held in ({"pirate": ONE}, {"a": {"b": ONE}}, {"pirate": ONE, "norms": np.ones(3, np.float32)}):
        assert constant(load(write(tmp_path / "v.pt", held), "resid_post.1")) == 10
    held = {
        "vector": ONE,
        "losses": np.ones(9, np.float32),
        "steps": np.arange(WIDTH),
        "by": "us",
        "ok": True,
    }
    assert constant(load(write(tmp_path / "v.pt", held), "resid_post.1")) == 10


def test_the_tensor_of_our_own_files_goes_before_others(tmp_path: Path) -> None:
    path = write(tmp_path / "v.safetensors", {"vector": ONE, "other": full(2)})
    assert constant(load(path, "resid_post.1")) == 10
    assert constant(load(path, "resid_post.1", key="other")) == 2


def test_very_many_names_are_not_all_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npz", {f"role{number:03}x": ONE for number in range(275)})
    assert refused(path, "resid_post.1").endswith("role022x, role023x and 251 more")
    assert len(refused(path, "resid_post.1", key="zzz")) < 400


@pytest.mark.parametrize("key", ["pirate/2", "lawyer/2"])
def test_a_key_leads_from_the_outside_in(tmp_path: Path, key: str) -> None:
    held = {"pirate": {1: full(1), 2: full(2)}, "lawyer": {2: full(2), 3: full(3)}}
    path = write(tmp_path / "v.pt", held)
    assert constant(load(path, None, "block_outputs", key)) == 2
    assert str(load(path, None, "block_outputs", key).site) == "resid_post.2"
    assert constant(load(path, "resid_post.2", "block_outputs", key.split("/")[0])) == 2
    assert refused(path, "resid_post.2", "block_outputs").endswith("one of lawyer, pirate")


def test_a_layer_may_be_outside_of_the_names(tmp_path: Path) -> None:
    held = {1: {"pirate": full(1), "lawyer": full(2)}, 2: {"pirate": full(3), "lawyer": full(4)}}
    path = write(tmp_path / "v.pt", held)
    assert str(load(path, None, "block_outputs", "2/pirate").site) == "resid_post.2"
    assert refused(path, "resid_post.1", "block_outputs", "2/pirate") == (
        "the suite says resid_post.1, but the file says resid_post.2"
    )


def test_items_of_lists_have_numbers(tmp_path: Path) -> None:
    held = {"vectors": [{"name": "a", "vector": full(1)}, {"name": "b", "vector": full(2)}]}
    path = write(tmp_path / "v.pt", held)
    assert constant(load(path, "resid_post.1", key="vectors/[1]")) == 2
    assert refused(path, "resid_post.1").endswith("one of vectors/[0], vectors/[1]")


def test_a_file_without_names_has_no_keys(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npy", ONE)
    assert refused(path, "resid_post.1", key="pirate") == "it has no names for `key: pirate` to choose by"


@pytest.mark.parametrize("held", [{}, {"layer": 3, "by": "us"}, [], {"a": {"b": []}}])
def test_a_file_of_no_vectors_is_refused(tmp_path: Path, held: Any) -> None:
    assert refused(write(tmp_path / "v.pt", held), "resid_post.1") == "found no vector in it"


# --- files of known tools, whose layers are outputs of blocks


def test_role_vectors_and_axes_of_assistant_axis(tmp_path: Path) -> None:
    stack = rows(BLOCKS)
    role = write(tmp_path / "pirate.pt", {"vector": stack, "type": "pos_3", "role": "pirate"})
    assert constant(load(role, "resid_post.2")) == 12
    held = {"axis": stack, "default_mean": 2 * stack, "role_mean": stack, "n_default": 1, "n_roles": 275}
    axis = write(tmp_path / "axis.pt", held)
    assert constant(load(axis, "resid_post.2", key="axis")) == 12
    assert refused(axis, "resid_post.2").endswith("one of axis, role_mean, default_mean")


def test_a_capping_configuration_of_assistant_axis(tmp_path: Path) -> None:
    path = write(tmp_path / "capping_config.pt", CAPPING)
    vector = load(path, key="vectors/layer_2/contrast_role_pos3")
    assert (constant(vector), str(vector.site)) == (2, "resid_post.2")
    assert refused(path).endswith(
        "one of vectors/layer_1/contrast_role_pos3, vectors/layer_2/contrast_role_pos3"
    )


def test_hidden_states_of_questions_and_answers(tmp_path: Path) -> None:
    layers = {f"layer_{number}": row for number, row in enumerate(rows(BLOCKS))}
    path = write(
        tmp_path / "em.pt", {"question": layers, "answer": {name: -row for name, row in layers.items()}}
    )
    assert constant(load(path, "resid_post.2", key="answer")) == -12
    assert str(load(path, key="answer/layer_3").site) == "resid_post.3"


def test_steering_vectors(tmp_path: Path) -> None:
    held = {"layer_activations": {1: full(1), 2: full(2)}, "layer_type": "decoder_block"}
    assert constant(load(write(tmp_path / "v.pt", held), "resid_post.2")) == 2
    sentence = "it is for 'mlp', and not for the outputs of blocks (decoder_block)"
    assert refused(write(tmp_path / "v.pt", held | {"layer_type": "mlp"}), "resid_post.2") == sentence


# --- what is made to be too much


def test_files_that_are_too_deep_are_refused(tmp_path: Path) -> None:
    held: Any = ONE
    for _ in range(DEEPEST + 1):
        held = {"a": held}
    assert refused(write(tmp_path / "v.pt", held), "resid_post.1").startswith(
        "its parts are more than 16 deep"
    )
    # Names of slashes stay names.
    name = "/".join(["a"] * 5000)
    path = write(tmp_path / "v.safetensors", {name: ONE, "b": full(2)})
    assert constant(load(path, "resid_post.1", key="b")) == 2
