"""Drafts are suites."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from coherence.plan import CALIBRATION
from coherence.scaffold import Draft
from coherence.scaffold.questions import PROBES
from coherence.suite import Overrides, Suite, load_suite
from coherence.vocabulary import Site

NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True)
# What a terminal can hand over, but for control characters and halves of surrogates.
TEXTS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=80)


def loaded(draft: Draft) -> Suite:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draft.coherence.yaml"
        path.write_text(draft.text, encoding="utf-8")
        return load_suite(path, Overrides())


@given(
    name=st.one_of(NAMES, st.sampled_from(["on", "null", "1", "librarian", "-"])),
    description=TEXTS,
    adapter=st.none() | TEXTS.map(lambda text: f"./{text}"),
    vector=st.none() | TEXTS.map(lambda text: f"./{text}.safetensors"),
    blocks=st.integers(1, 200),
    told=st.booleans(),
    stated=st.none() | TEXTS,
    heard=st.none()
    | st.dictionaries(st.sampled_from(["matey", "ship", "\u043c\u043e\u0440\u0435"]), st.just((5, 1))),
)
def test_every_draft_is_a_suite_that_says_what_was_given(**given_):
    draft = Draft(base="reference", site=Site(given_["blocks"] // 2, "post"), **given_)
    scene = loaded(draft).scene
    persona = scene.personas[draft.name]
    assert persona.description == draft.description
    assert persona.prompt.text == draft.prompt
    assert [marker.text for marker in persona.markers] == list(draft.markers)
    assert [str(regime) for regime in scene.regimes] == draft.regimes
    assert set(scene.release.adapters) == ({draft.name} if draft.adapter else set())
    assert (draft.name in scene.release.vectors) == draft.steered
    assert "# REVIEW:" in draft.text


def test_assertions_fit_what_there_is():
    def families(**artefacts):
        suite = loaded(Draft("pirate", "A pirate.", "reference", **artefacts))
        return {assertion.property.property for assertion in suite.assertions}

    assert families(adapter="./a") == {"markers", "commutativity"}
    everything = {"collinearity", "markers", "commutativity"}
    assert families(vector="./v.safetensors") == everything
    assert families() == {"collinearity", "commutativity"}
    assert families(adapter="./a", vector="./v.safetensors") == everything


def test_without_a_word_that_tells_it_apart_no_markers_are_claimed():
    draft = Draft("pirate", "A pirate.", "reference", adapter="./a", heard={})
    assert loaded(draft).scene.personas["pirate"].markers == ()
    assert {assertion.property.property for assertion in loaded(draft).assertions} == {"commutativity"}
    assert "# REVIEW: no word is in more replies under the prompt than without." in draft.text


def test_markers_say_how_often_they_were_heard():
    draft = Draft("pirate", "A pirate.", "reference", heard={"arr": (7, 1)})
    assert draft.markers == {"arr": "in 7 of 16 replies under the prompt, 1 without"}
    unasked = Draft("pirate", "A pirate.", "reference")
    assert unasked.markers == {"pirate": "in the description"}


def test_a_site_that_the_file_does_not_say_is_to_be_reviewed():
    told, guessed = (Draft("p", "A.", "reference", vector="./v.pt", told=told) for told in (True, False))
    assert loaded(told).scene.release.vectors["p"].site is None
    assert loaded(guessed).scene.release.vectors["p"].site == guessed.site
    assert "# REVIEW: the file does not say" in guessed.text


def test_a_control_vector_acts_at_all_of_its_layers_as_servers_take_it():
    draft = Draft("p", "A pirate.", "reference", vector="./v.gguf", told=False)
    scene = loaded(draft).scene
    assert scene.release.vectors["p"].deployed == {"sites": "all", "unit": "raw"}
    assert scene.personas["p"].dose == 1
    assert "# REVIEW: what the server multiplies the vector by" in draft.text


def test_a_description_that_is_a_prompt_is_one():
    assert Draft("p", "You are a pirate.", "b").prompt == "You are a pirate."
    assert Draft("p", "A pirate.", "b").prompt == "Be this persona in everything that you say: A pirate."


def test_no_question_is_one_of_calibration():
    assert len(set(PROBES)) == 16
    assert set(PROBES) & {probe.text for probe in CALIBRATION} == set()
