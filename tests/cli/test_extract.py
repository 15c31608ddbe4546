"""`coherence extract`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coherence.cli import main
from coherence.engine.artefacts.vectors import load_vector
from coherence.vocabulary import Site, VectorSource


@pytest.fixture
def extracted(suite: Path) -> Callable[..., np.ndarray]:
    """Extract a vector with the given options, and read it back as a release would."""

    def extracted(*options: str) -> np.ndarray:
        assert main(["extract", "a.coherence.yaml", "pirate", "--out", "v.safetensors", *options]) == 0
        return load_vector(VectorSource(path="v.safetensors"), 32, 4, "pirate").values

    return extracted


def test_extract_writes_a_vector_that_a_release_can_use(extracted, capsys):
    extracted("--site", "resid_post.2")
    vector = load_vector(VectorSource(path="v.safetensors"), 32, 4, "pirate")
    assert vector.site == Site.parse("resid_post.2")
    assert vector.metadata["persona"] == "pirate"
    assert vector.metadata["against"] == "neutral"
    assert capsys.readouterr().out == ("v.safetensors: pirate against neutral at resid_post.2, width 32\n")


def test_extract_against_another_persona_and_back_are_opposite(extracted, suite):
    there = extracted("--site", "resid_post.2", "--against", "counsel")
    back = ["extract", str(suite), "counsel", "--against", "pirate", "--site", "resid_post.2"]
    assert main([*back, "--out", "w.safetensors"]) == 0
    other = load_vector(VectorSource(path="w.safetensors"), 32, 4, "counsel")
    assert other.values == pytest.approx(-there, abs=1e-5)
    assert other.metadata["against"] == "pirate"


@pytest.mark.parametrize(
    "rest",
    ["", "assertions: [{property: attractor}]", "assertions: [{property: markers, personas: [nobody]}]"],
)
def test_a_file_of_personas_is_enough(extracted, suite, rest):
    """Whatever it asserts, and without a probe; what else is wrong is said as ever."""
    whole = extracted("--site", "resid_post.2")
    personas, _, _ = suite.read_text().partition("probes:")
    suite.write_text(personas + rest)
    assert extracted("--site", "resid_post.2") == pytest.approx(whole)
    suite.write_text(f"{personas}{rest}\nsed: 3\n")
    assert main(["extract", str(suite), "pirate", "--out", "w.safetensors"]) == 4


def test_extract_at_another_position_is_another_vector(extracted):
    at_the_end = extracted("--site", "resid_post.2", "--position", "prompt_last")
    assert not np.allclose(at_the_end, extracted("--site", "resid_post.2"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("a.coherence.yaml pirat", "a.coherence.yaml has no persona 'pirat'; did you mean 'pirate'?"),
        (
            "a.coherence.yaml pirate --against counse",
            "a.coherence.yaml has no persona 'counse'; did you mean 'counsel'?",
        ),
        ("a.coherence.yaml mute", "persona 'mute' cannot be put into the model by prompt: its prompt is not"),
        ("lost.yaml pirate", "there is no file lost.yaml"),
        ("a.coherence.yaml pirate --site resid_post.9", "found the site resid_post.9, expected a block from"),
        ("a.coherence.yaml pirate --against pirate", "the two sides do not differ at resid_post.1"),
        ("a.coherence.yaml pirate --out a.coherence.yaml/v.safetensors", "v.safetensors cannot be written: "),
    ],
)
@pytest.mark.usefixtures("suite")
def test_what_cannot_be_extracted_is_a_sentence(arguments, sentence, capsys):
    suite, persona, *options = arguments.split()
    given = ["--out", "v.safetensors", "--site", "resid_post.1", *options]
    assert main(["extract", suite, persona, *given]) == 4
    said = capsys.readouterr().err
    assert said.startswith("coherence: ")
    assert sentence in said
    assert not Path("v.safetensors").exists()
