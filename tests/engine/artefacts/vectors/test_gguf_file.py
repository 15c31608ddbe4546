"""Control vectors of repeng and llama.cpp."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from vector_files import BLOCKS, WIDTH, constant, control, load, refused

from coherence.engine.artefacts.vectors import load_vector
from coherence.engine.artefacts.vectors.gguf_file import hinted_family
from coherence.vocabulary import Site, VectorSource


def directions(numbers: Any, dtype: Any = np.float32) -> dict[int, Any]:
    """direction.N holds N + 10."""
    return {number: np.full(WIDTH, number + 10, dtype) for number in numbers}


@pytest.mark.parametrize(
    ("site", "number"),
    [("resid_post.1", 1), ("resid_pre.2", 1), ("resid_post.2", 2), ("resid_pre.3", 2), ("resid_post.3", 3)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_direction_n_is_the_output_of_block_n(tmp_path: Path, site: str, number: int, dtype: Any) -> None:
    vector = load(control(tmp_path / "v.gguf", directions(range(1, BLOCKS), dtype)), site)
    assert constant(vector) == number + 10
    assert vector.site == Site.parse(site)
    assert vector.metadata["controlvector.model_hint"] == "llama"


def test_a_missing_direction_lists_the_others(tmp_path: Path) -> None:
    path = control(tmp_path / "v.gguf", directions(range(1, 3)))
    assert refused(path, "resid_post.3") == "resid_post.3 needs direction.3; found direction.1, direction.2"
    assert refused(path, "resid_post.0") == "resid_post.0 needs direction.0; found direction.1, direction.2"


@pytest.mark.parametrize("site", ["resid_post.0", "resid_pre.1"])
def test_the_first_block_has_no_direction(tmp_path: Path, site: str) -> None:
    path = control(tmp_path / "v.gguf", directions(range(2)))
    assert refused(path, site).startswith("direction.0 is never applied by llama.cpp")
    assert constant(load(path, "resid_post.1")) == 11


def test_what_comes_before_the_blocks_has_none(tmp_path: Path) -> None:
    path = control(tmp_path / "v.gguf", directions(range(1, 3)))
    assert refused(path, "resid_pre.0").startswith("block outputs have no row for resid_pre.0")


def test_a_control_vector_needs_a_site_and_no_convention(tmp_path: Path) -> None:
    path = control(tmp_path / "v.gguf", directions(range(1, 3)))
    assert refused(path).startswith("the file does not say its site")
    assert refused(path, "resid_post.1", "hidden_states").startswith("`layers: hidden_states` is for stacks")


def test_a_single_direction_says_its_site(tmp_path: Path) -> None:
    assert str(load(control(tmp_path / "v.gguf", directions([2]))).site) == "resid_post.2"
    path = control(tmp_path / "v.gguf", directions(range(1, 4)))
    assert str(load(path, key="direction.2").site) == "resid_post.2"


def test_quantised_directions_are_read(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "v.gguf", "controlvector")
    kind = GGMLQuantizationType.Q8_0
    writer.add_tensor("direction.1", quantize(np.ones(64, np.float32), kind), raw_dtype=kind)
    writer.add_tensor("direction.2", np.ones(64, np.int32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    source = VectorSource(path=str(tmp_path / "v.gguf"), site=Site(1, "post"))
    assert np.allclose(load_vector(source, 64, BLOCKS, "pirate").values, 1, atol=0.01)
    assert refused(tmp_path / "v.gguf", "resid_post.2") == "found values of I32, expected floating point"


def test_a_model_is_no_control_vector(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "v.gguf", "llama")
    writer.add_tensor("token_embd.weight", np.ones((9, WIDTH), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert refused(tmp_path / "v.gguf", "resid_post.1") == "found no vector in it"


@pytest.mark.parametrize(
    ("hint", "family", "said"),
    [
        ("llama", "llama", None),
        ("llama", "mistral", None),
        ("gemma3", "gemma3_text", None),
        ("gptneox", "gpt_neox", None),
        ("command-r", "cohere", None),
        ("", "llama", None),
        ("qwen2", "llama", "qwen2"),
        ("mistral", "llama", "mistral"),
    ],
)
def test_the_family_that_a_control_vector_is_for_is_compared(
    hint: str, family: str, said: str | None
) -> None:
    assert hinted_family({"controlvector.model_hint": hint}, family) == said
    assert hinted_family({}, family) is None
