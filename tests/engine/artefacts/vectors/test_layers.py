import pytest

from coherence.engine.artefacts.vectors.layers import Layer, known_counts


@pytest.mark.parametrize(
    "name",
    ["14", "layer_14", "layer14", "layer 14", "Layer-14", "layers.14", "model.layers.14", "block_14", "L14"],
)
def test_a_number_is_a_layer_and_does_not_say_what_it_counts(name: str) -> None:
    assert Layer.named(name) == Layer(14)


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("resid_post.14", 15),
        ("resid_pre.14", 14),
        ("blocks.14.hook_resid_post", 15),
        ("blocks.14.hook_resid_pre", 14),
    ],
)
def test_a_point_of_the_residual_stream_says_it(name: str, depth: int) -> None:
    layer = Layer.named(name)
    assert layer is not None
    assert (layer.number, layer.depth(None)) == (14, depth)


@pytest.mark.parametrize(
    "name",
    ["", "pirate", "model.layers.13.mlp.down_proj", "layer", "-1", "99999", "14.5", "v14", "layer_14_mean"],
)
def test_anything_else_is_a_name(name: str) -> None:
    assert Layer.named(name) is None


def test_what_a_number_counts_is_one_block_apart() -> None:
    assert Layer(3).depth("block_outputs") == 4
    assert Layer(3).depth("hidden_states") == Layer(3).depth("block_inputs") == 3


def test_tools_that_hook_the_outputs_of_blocks_are_known_by_their_names() -> None:
    assert known_counts(["vector", "type", "role"]) == "block_outputs"
    assert known_counts(["vectors", "experiments", "notes"]) == "block_outputs"
    assert known_counts(["vector", "layer"]) is None
