"""Vectors at several sites: a layer's own at each, or one at all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vector_files import BLOCKS, WIDTH, control, rows, write

from coherence.engine.artefacts.vectors import Vector, load_vector, spread_over
from coherence.engine.artefacts.vectors.unfit import UnfitError
from coherence.errors import ArtefactError
from coherence.vocabulary import Band, VectorSource

EVERY = ["resid_pre.0", *(f"resid_post.{block}" for block in range(BLOCKS))]
FOUR = dict(enumerate(rows(4)))


def load(path: Path, sites: Any, **said: Any) -> Vector:
    source = VectorSource.model_validate({"path": str(path), "sites": sites} | said)
    return load_vector(source, WIDTH, BLOCKS, "pirate")


def found(path: Path, sites: Any, **said: Any) -> dict[str, float]:
    """The one value of each direction, by its site."""
    return {str(site): float(values[0]) for site, values in load(path, sites, **said).directions.items()}


def refused(path: Path, sites: Any, **said: Any) -> str:
    with pytest.raises(ArtefactError) as caught:
        load(path, sites, **said)
    return caught.value.sentence.partition(" cannot be used: ")[2]


@pytest.fixture
def controlled(tmp_path: Path) -> Path:
    """A control vector of llama.cpp, which begins with the second block."""
    return control(tmp_path / "v.gguf", {number: rows(4)[number] for number in (1, 2, 3)})


def test_all_sites_of_a_control_vector_are_those_that_llama_cpp_adds_to(controlled: Path) -> None:
    assert found(controlled, "all") == {"resid_post.1": 11, "resid_post.2": 12, "resid_post.3": 13}


def test_a_control_vector_of_one_direction_acts_at_its_own_block(tmp_path: Path) -> None:
    path = control(tmp_path / "v.gguf", {2: rows(3)[2]})
    assert found(path, "all") == {"resid_post.2": 12}
    assert refused(path, "resid_post.1..2") == "the suite says resid_post.1, but the file says resid_post.2"


@pytest.mark.parametrize(
    ("sites", "blocks"),
    [("resid_post.2", [2]), ("resid_post.1..2", [1, 2]), (["resid_post.3", "resid_pre.2"], [1, 3])],
)
def test_every_site_has_the_direction_of_its_layer(controlled: Path, sites: Any, blocks: list[int]) -> None:
    assert sorted(found(controlled, sites).values()) == [10 + block for block in blocks]


def test_a_site_without_a_direction_names_its_layer(controlled: Path) -> None:
    assert refused(controlled, "resid_post.0..1").startswith(
        "resid_post.0 needs direction.0; found direction.1"
    )


@pytest.mark.parametrize(
    ("count", "layers", "expected"),
    [
        (BLOCKS + 1, None, {site: 10 + depth for depth, site in enumerate(EVERY[:-1])}),
        (BLOCKS, "block_inputs", {site: 10 + depth for depth, site in enumerate(EVERY[:-1])}),
        (BLOCKS, "block_outputs", {site: 9 + depth for depth, site in enumerate(EVERY) if depth}),
    ],
)
def test_all_sites_of_a_stack_are_its_layers(
    tmp_path: Path, count: int, layers: Any, expected: dict[str, float]
) -> None:
    for path in (write(tmp_path / "v.npy", rows(count)), write(tmp_path / "v.pt", [*rows(count)])):
        assert found(path, "all", layers=layers) == expected


def test_numbered_layers_are_a_stack(tmp_path: Path) -> None:
    path = write(tmp_path / "v.pt", {f"layer_{number}": values for number, values in FOUR.items()})
    assert found(path, "all", layers="block_outputs") == dict(zip(EVERY[1:], (10, 11, 12, 13), strict=True))


@pytest.mark.parametrize("said", [{"key": "pirate/2"}, {"key": "pirate/2", "layers": "block_outputs"}])
def test_a_layer_that_is_chosen_by_its_key_acts_everywhere(tmp_path: Path, said: Any) -> None:
    path = write(tmp_path / "v.pt", {"pirate": FOUR, "lawyer": FOUR})
    if "layers" in said:
        assert found(path, "all", **said) == dict.fromkeys(EVERY, 12)
    else:
        assert refused(path, "all", **said).startswith("it does not say what layer 2 is")


def test_one_vector_is_the_same_at_all_sites(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npy", rows(1)[0])
    assert found(path, "all") == dict.fromkeys(EVERY, 10)
    assert found(path, ["resid_pre.0", "resid_post.1..2"]) == dict.fromkeys(["resid_pre.0", *EVERY[2:4]], 10)


def test_the_site_that_its_file_is_for_must_be_among_them(tmp_path: Path) -> None:
    path = write(tmp_path / "v.safetensors", {"vector": rows(1)[0], "site": "resid_post.2"})
    assert set(found(path, "resid_post.1..3")) == set(EVERY[2:])
    assert refused(path, "resid_post.0..1") == (
        "the suite says resid_post.0, resid_post.1, but the file says resid_post.2, which is none of these"
    )


def test_a_layer_that_is_0_everywhere_is_left_out_of_all_and_refused_by_name(tmp_path: Path) -> None:
    stack = rows(BLOCKS + 1)
    stack[0] = 0
    path = write(tmp_path / "v.npy", stack)
    assert list(found(path, "all")) == EVERY[1:-1]
    assert load(path, "all").remark == ""
    assert refused(path, "resid_pre.0") == "all of its values are 0, which steers nowhere"
    assert (
        refused(write(path, np.zeros_like(stack)), "all") == "all of its values are 0, which steers nowhere"
    )


def test_a_site_beyond_the_base_is_refused(controlled: Path, tmp_path: Path) -> None:
    sentence = "found the site resid_post.4, expected a block from 0 to 3, those of the base"
    assert refused(controlled, "resid_post.3..4") == sentence
    assert refused(write(tmp_path / "v.npy", rows(1)[0]), "resid_post.3..4") == sentence


@pytest.mark.parametrize(
    ("sites", "remark"),
    [
        ("resid_post.2", "2 of the 3 directions of its file are unused"),
        ("resid_post.2..3", "1 of the 3 directions of its file is unused"),
        ("all", ""),
    ],
)
def test_directions_that_are_not_used_are_counted(controlled: Path, sites: str, remark: str) -> None:
    assert load(controlled, sites).remark == remark


def test_one_site_leaves_the_others_unused_as_well(controlled: Path) -> None:
    assert (
        load(controlled, None, site="resid_post.2").remark == "2 of the 3 directions of its file are unused"
    )


def test_the_digest_is_of_all_directions(controlled: Path) -> None:
    digests = [load(controlled, sites).digest for sites in ("resid_post.1", "resid_post.1..2", "all")]
    assert len({*digests, load(controlled, None, site="resid_post.1").digest}) == 3


def test_a_site_that_is_named_twice_is_there_once() -> None:
    bands = tuple(map(Band.parse, ("resid_post.1..2", "resid_pre.2", "resid_pre.0")))
    assert [site.depth for site in spread_over(bands, BLOCKS)] == [0, 2, 3]
    with pytest.raises(UnfitError, match=r"found the site resid_post\.9"):
        spread_over((Band.parse("resid_post.9"),), BLOCKS)
