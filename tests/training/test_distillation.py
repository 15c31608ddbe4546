"""Self-distillation: what is asked, and what is kept of the replies."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from coherence.engine.engine import Engine
from coherence.engine.executors.progress import SILENT
from coherence.errors import MeasurementError, SuiteError
from coherence.plan import CALIBRATION, Answer, Plan, Reply, Scene
from coherence.store import Store
from coherence.training.distillation import distil, engine_of, questions, showing, whole_sentences
from coherence.training.pairs import Pair
from coherence.vocabulary import Decoding, Persona, Probe, Regime, Release
from coherence.vocabulary.probe import wording

PIRATE = Persona(prompt="Talk like a pirate.", markers=["arr", "matey"])
SCENE = Scene(
    release=Release(),
    personas={"pirate": PIRATE, "mute": Persona(prompt="Be silent.")},
    probes=(Probe(id="order", text="Where is my order?"),),
    regimes=(Regime.PROMPT,),
    neutral="You are helpful.",
    decoding=Decoding(max_new_tokens=7),
    seed=0,
)


class Said(Engine):
    """Gives answers in their order to what is asked, and keeps what was asked."""

    def __init__(self, *answers: str) -> None:
        self.asked: list[Reply] = []
        self._answers = answers

    def measure(self, plan: Plan, portions: Iterable[Plan] = ()) -> dict:
        self.asked = list(plan)
        return {reply: Answer(text, ()) for reply, text in zip(self.asked, self._answers, strict=True)}


def test_each_question_is_asked_under_the_prompt_with_a_seed_for_each_sample():
    engine = Said(*["Arr."] * 6)
    found = distil(SCENE, "pirate", ["Why?", "Who?"], engine, samples=3, seed=5)
    condition = SCENE.condition("pirate", Regime.PROMPT)
    assert {reply.condition for reply in engine.asked} == {condition}
    asked = [(reply.probe.text, reply.decoding.seed) for reply in engine.asked]
    assert asked == [("Why?", 5), ("Who?", 5), ("Why?", 6), ("Who?", 6), ("Why?", 7), ("Who?", 7)]
    assert {(reply.decoding.temperature, reply.decoding.max_new_tokens) for reply in engine.asked} == {
        (0.8, 7)
    }
    assert (found.replies, found.probes) == (6, 0)


def test_probes_are_never_asked_however_they_are_written():
    engine = Said("Arr.")
    found = distil(SCENE, "pirate", ["where is MY order", "Why?", "Why?"], engine, samples=1)
    assert [reply.probe.text for reply in engine.asked] == ["Why?"]
    assert found.probes == 1


def test_replies_are_kept_that_hold_as_many_markers_each_once():
    said = [Pair("a", "Arr, matey."), Pair("b", "Arr, arr."), Pair("c", "Hello."), Pair("d", "Arr, matey.")]
    assert list(showing(said, PIRATE, 1)) == said[:2]
    assert list(showing(said, PIRATE, 2)) == said[:1]


def test_a_sentence_that_was_cut_off_is_left_out():
    assert whole_sentences("Arr! The sea is") == "Arr!"
    assert whole_sentences("The sea") == "The sea"


def test_what_shows_nothing_of_the_persona_is_a_sentence():
    with pytest.raises(
        MeasurementError, match="none of 1 replies under the prompt of 'pirate' shows 1 of its"
    ):
        distil(SCENE, "pirate", ["Why?"], Said("Hello."), samples=1)


@pytest.mark.parametrize(
    ("persona", "least", "said"),
    [
        ("mute", 1, "at least 1 markers, and persona 'mute' has none"),
        ("pirate", 3, "at least 3 markers, and persona 'pirate' has 2"),
        ("pirat", 1, "no persona is named 'pirat'; did you mean 'pirate'"),
    ],
)
def test_a_persona_that_cannot_be_told_is_a_sentence(persona, least, said):
    with pytest.raises(SuiteError, match=said):
        distil(SCENE, persona, ["Why?"], Said(), least=least)


def test_questions_of_our_own_are_many_and_none_is_of_calibration():
    assert len({wording(question) for question in questions()}) == len(questions()) == 96
    assert not set(questions()) & {probe.text for probe in CALIBRATION}


def test_the_model_is_asked_whatever_becomes_of_the_release(tiny, tmp_path):
    """Adapters are made of what is said here: one that is not there yet must not stand in the way."""
    told = PIRATE.model_copy(update={"markers": Persona(markers=[{"text": ".", "kind": "regex"}]).markers})
    scene = replace(
        SCENE, release=Release(base=str(tiny), adapters={"pirate": "/lost"}), personas={"pirate": told}
    )
    first, again = (
        distil(scene, "pirate", ["Why?", "Who?"], engine_of(scene, Store(tmp_path / name), SILENT))
        for name in ("one", "two")
    )
    assert first == again
    assert first.replies == 4
    assert {pair.question for pair in first.pairs} == {"Why?", "Who?"}
