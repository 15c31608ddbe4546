import os
import random
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from vector_files import BLOCKS, WIDTH, load, refused, rows, write

from coherence.engine.artefacts.vectors import save_vector
from coherence.engine.artefacts.vectors.vector import _READERS
from coherence.errors import ArtefactError
from coherence.vocabulary import Site
from coherence.vocabulary.release import VECTOR_FILES


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "pirate.safetensors"
    save_vector(path, np.arange(WIDTH, dtype=np.float32), Site.parse("resid_post.2"), {"persona": "pirate"})
    return path


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


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtefactError, match=r"file/v.safetensors cannot be written: (Not a dir|File exists)"):
        save_vector(
            tmp_path / "file" / "v.safetensors", np.ones(2, np.float32), Site.parse("resid_pre.0"), {}
        )


# --- every container


@pytest.fixture
def one_of_each(tmp_path: Path) -> list[Path]:
    """A file of each container that holds the same vector of 12 for resid_post.2."""
    vector = rows(3)[2]
    control = write(tmp_path / "v.gguf", {1: 0.5 * vector, 2: vector})
    return [control, *(write(tmp_path / f"v{ending}", _alone(ending, vector)) for ending in _NAMED)]


_NAMED = (".npy", ".npz", ".pt", ".safetensors")


def _alone(ending: str, vector: Any) -> Any:
    return vector if ending in (".npy", ".pt") else {"vector": vector}


def test_every_ending_has_a_reader() -> None:
    assert tuple(_READERS) == VECTOR_FILES


@given(
    stack=st.lists(
        st.lists(st.floats(-9, 9, width=32), min_size=WIDTH, max_size=WIDTH), min_size=5, max_size=5
    ).map(lambda values: np.array(values, np.float32)),
    layers=st.sampled_from(["hidden_states", "block_outputs", "block_inputs"]),
    site=st.builds(Site, st.integers(0, BLOCKS - 1), st.sampled_from(["pre", "post"])),
)
@settings(max_examples=10)
def test_every_container_gives_the_same_vector_for_the_same_values_keys_and_sites(
    tmp_path_factory: pytest.TempPathFactory, stack: Any, layers: str, site: Site
) -> None:
    folder = tmp_path_factory.mktemp("law")
    stack = stack[: 5 if layers == "hidden_states" else 4]
    numbered = {f"layer_{number}": row for number, row in enumerate(stack)}
    held: list[tuple[str, Any, str | None]] = [
        ("a.npy", stack, None),
        ("a.pt", stack, None),
        ("b.pt", [*stack], None),
        ("c.pt", dict(enumerate(stack)), None),
        ("d.pt", {"layer_activations": numbered}, None),
    ]
    for ending in ("npz", "pt", "safetensors"):
        held += [
            (f"e.{ending}", {"pirate": stack}, None),
            (f"f.{ending}", {"lawyer": -stack, "pirate": stack}, "pirate"),
            (f"g.{ending}", numbered, None),
            (f"h.{ending}", {"lawyer": {"layer_0": -stack[0]}, "pirate": numbered}, "pirate"),
        ]
    found = {_outcome(write(folder / name, what), str(site), layers, key) for name, what, key in held}
    if layers == "block_outputs" and site.depth > 1:
        found.add(_outcome(write(folder / "i.gguf", dict(enumerate(stack))), str(site)))
    assert len(found) == 1


def _outcome(path: Path, site: str, layers: Any = None, key: str | None = None) -> Any:
    try:
        vector = load(path, site, layers, key)
    except ArtefactError as problem:
        # Which row is missing is said in the words of each.
        return "zero" if "all of its values are 0" in problem.sentence else "missing"
    return (vector.values.tobytes(), vector.site, vector.digest)


@pytest.mark.parametrize("ending", VECTOR_FILES)
def test_a_damaged_file_is_a_sentence(ending: str, one_of_each: list[Path]) -> None:
    (path,) = (path for path in one_of_each if path.suffix == ending)
    whole = path.read_bytes()
    for length in [*random.Random(0).sample(range(len(whole) - 64), 30), 0, 1, 4, 8, 24]:
        path.write_bytes(whole[:length])
        assert refused(path, "resid_post.2").startswith("it is not a whole"), length


@pytest.mark.parametrize("ending", VECTOR_FILES)
@given(data=st.data())
@settings(max_examples=30)
def test_a_spoiled_file_is_a_vector_or_a_sentence(
    ending: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("spoiled") / f"v{ending}"
    vector = rows(3)[2]
    write(path, {1: vector, 2: vector} if ending == ".gguf" else _alone(ending, vector))
    spoiled = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(spoiled) - 1))
        put = data.draw(
            st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\x00" * 8]))
        )
        spoiled[at : at + len(put)] = put
    path.write_bytes(spoiled)
    with suppress(ArtefactError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(load(path, "resid_post.2").values).all()


def test_a_missing_file_suggests_its_neighbour(own: Path) -> None:
    assert refused(own.with_name("pirat.safetensors")) == (
        "there is no such file; did you mean 'pirate.safetensors'?"
    )


def test_what_is_no_file_is_not_said_to_be_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "folder.pt").mkdir()
    for name in ("pipe.pt", "folder.pt"):
        sentence = "found a folder, a pipe or a device, expected a file"
        assert refused(tmp_path / name, "resid_post.1") == sentence


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    sentence = "found the ending '.pkl', expected one of .gguf, .npy, .npz, .pt, .safetensors"
    assert refused(tmp_path / "vector.pkl", "resid_post.1") == sentence


def test_a_file_that_may_not_be_read_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "v.npy", rows(1)[0])

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Whoever runs the tests may be allowed to read everything.
    monkeypatch.setitem(_READERS, ".npy", denied)
    assert refused(path, "resid_post.1") == "it cannot be read: Permission denied"


@pytest.mark.parametrize("site", ["resid_post.4", "resid_pre.4", "resid_post.40"])
def test_a_site_beyond_the_last_block_is_refused(site: str, one_of_each: list[Path]) -> None:
    for path in one_of_each:
        sentence = f"found the site {site}, expected a block from 0 to 3, those of the base"
        assert refused(path, site) == sentence


@pytest.mark.parametrize("ending", _NAMED)
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.ones(768), "found 768, expected 6, the width of the base"),
        (np.ones((BLOCKS, 768)), "found 768, expected 6, the width of the base"),
        (np.zeros(WIDTH), "all of its values are 0, which steers nowhere"),
        (np.full(WIDTH, np.nan), "found 6 values that are NaN or infinite"),
        (np.array([1, np.inf, 1, 1, 1, 1]), "found 1 values that are NaN or infinite"),
        (np.full(WIDTH, 1e300), "found 6 values that are NaN or infinite"),
    ],
)
def test_values_that_cannot_steer_are_refused(
    tmp_path: Path, ending: str, values: Any, sentence: str
) -> None:
    assert refused(write(tmp_path / f"v{ending}", _alone(ending, values)), "resid_post.1") == sentence


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
@pytest.mark.parametrize("ending", _NAMED)
def test_values_that_are_no_floats_are_refused(tmp_path: Path, ending: str, dtype: Any) -> None:
    path = write(tmp_path / f"v{ending}", _alone(ending, np.ones(WIDTH, dtype)))
    assert re.fullmatch(r"found values of \S+, expected floating point", refused(path, "resid_post.1"))


def test_the_digest_is_of_the_values_and_their_depth(one_of_each: list[Path], tmp_path: Path) -> None:
    same = [load(path, site) for path in one_of_each for site in ("resid_post.2", "resid_pre.3")]
    # Stored measurements are found by it.
    assert {vector.digest for vector in same} == {
        "ce530a6b1c152f81b67f02d4e34576a7fa6ac4d40cf45c5b7612a64716aaaac6"
    }
    control, plain, *_ = one_of_each
    others = [load(control, "resid_post.1"), load(plain, "resid_post.1")]
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
