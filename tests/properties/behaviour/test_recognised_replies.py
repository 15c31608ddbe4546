"""Made-up replies: personas that read as themselves, and regimes whose replies do, or only say the words."""

from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Condition, Measurement, Record, Reply
from coherence.plan.calibration import CALIBRATION
from coherence.properties.behaviour.recognised_replies import RecognisedReplies
from coherence.properties.markers import Markers
from coherence.thresholds.halves import Sample
from coherence.vocabulary import Evidence, Probe, Verdict

NAMES = ("pirate", "counsel", "support")
DEPTHS, WIDTH = 4, 48
DRAW = np.random.default_rng(0)
DIRECTIONS = dict(zip(NAMES, np.linalg.qr(DRAW.normal(size=(WIDTH, WIDTH)))[0] * 8, strict=False))


def recognised(**fields: Any) -> RecognisedReplies:
    defaults = {"property": "recognised", "sites": "resid_post.0..1", "min_rate": 0.7, "max_gap": 0.3}
    return RecognisedReplies.model_validate(defaults | {"min_recovery": 0.6} | fields)


def a_case(names: Any = NAMES, **fields: Any) -> Any:
    scene = worlds.scene(names, regimes=("prompt", "adapter", "steering"))
    return recognised(**{"personas": ("pirate",), "regimes": ("adapter",)} | fields).cases(scene)[0]


def put_in(condition: Condition) -> str | None:
    """Who a condition puts into the model; nobody where its vector is drawn."""
    if condition.prompts:
        return condition.prompts[0].text.removeprefix("Be ").rstrip(".")
    if condition.adapters:
        return condition.adapters[0][0]
    return next((steer.vector for steer in condition.steers if steer.drawn is None), None)


class World:
    """Replies that say their persona's name, and read `prompted` or `strength` of the way towards it.

    `instead` is who the pirate's artefacts read as, `words` how many each says, `silent` who says nothing.
    """

    def __init__(
        self,
        prompted: float = 1.0,
        strength: float = 0.8,
        instead: str | None = "pirate",
        words: dict[str | None, int] | None = None,
        silent: tuple[str, ...] = (),
    ) -> None:
        self.prompted, self.strength, self.instead = prompted, strength, instead
        self.words, self.silent = words or {}, silent
        self.drawn = np.random.default_rng(0)

    def value(self, one: Measurement) -> Any:
        if isinstance(one, Reply):
            who = put_in(one.condition)
            silent = who in self.silent and not one.condition.prompts
            return Answer("" if silent else " ".join([f"{who}!"] * self.words.get(who, 9)), (1,))
        noise = self.drawn.normal(size=(DEPTHS, WIDTH)) * 0.5
        return (self.reads(one.text.condition) + noise).astype(np.float32)

    def reads(self, speaker: Condition) -> np.ndarray:
        who = put_in(speaker)
        if who == "pirate" and not speaker.prompts:
            who = self.instead
        if who is None:
            return np.zeros(WIDTH)
        return DIRECTIONS[who] * (self.prompted if speaker.prompts else self.strength)

    def record(self, *cases: Any) -> Record:
        every = (*cases, *chain.from_iterable(chain.from_iterable(c.controls().values()) for c in cases))
        return Record(
            {one: self.value(one) for one in dict.fromkeys(n for c in every for n in c.measurements())}
        )


def judged(case: Any, **planted: Any) -> Evidence:
    record = World(**planted).record(case)
    return case.judge(record, 0).model_copy(update={"controls": case.controlled(record, 0)})


def test_replies_that_read_as_the_prompts_are_recognised_and_no_control_is():
    evidence = judged(a_case())
    assert evidence.verdict is Verdict.PASS
    assert worlds.by_key(evidence)["min_rate"].estimate.value == 1
    assert {control.name: control.verdict for control in evidence.controls} == {
        "nothing in its place": Verdict.FAIL,
        "counsel by adapter": Verdict.FAIL,
        "support by adapter": Verdict.FAIL,
    }
    assert evidence.fact == (
        "of 24 replies each, so many are taken for the prompted pirate's: "
        "24 by adapter, 24 by prompt, 0 by bare"
    )


def test_an_adapter_that_says_the_words_and_nothing_else_passes_markers_and_is_not_recognised():
    scene = worlds.scene(NAMES, regimes=("prompt", "adapter"))
    markers = Markers(
        property="markers", personas=("pirate",), min_agreement=0.5, max_difference=0.3, min_recovery=0.7
    )
    (heard,), (case,) = markers.cases(scene), recognised(personas=("pirate",)).cases(scene)
    record = World(instead=None).record(heard, case)
    assert heard.judge(record, 0).verdict is Verdict.PASS
    evidence = case.judge(record, 0)
    assert evidence.verdict is Verdict.FAIL
    assert {one.verdict for one in evidence.criteria} == {Verdict.FAIL}
    (taken,) = evidence.tables
    assert dict(zip(taken.rows, taken.cells, strict=True))["bare"][0] == 1
    assert evidence.probes[0].note == "by adapter taken for bare"


def test_another_persona_in_its_place_is_named():
    (taken,) = judged(a_case(), instead="counsel").tables
    assert (taken.rows, taken.columns) == (
        ("pirate", "counsel", "support", "bare", "nobody"),
        ("adapter", "prompt", "bare"),
    )
    assert [row[0] for row in taken.cells] == [0, 1, 0, 0, 0]


def test_prompts_that_read_alike_decide_nothing():
    evidence = judged(a_case(), prompted=0.02)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.criteria[0].unreliable.startswith(
        "prompted replies themselves are not recognised on questions that nobody learnt from: 0."
    )


def test_a_length_that_tells_as_well_decides_nothing():
    evidence = judged(a_case(), words={"pirate": 40})
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.criteria[0].unreliable.startswith("the length of a reply tells as well whose it is")


def test_a_reply_without_a_word_is_nobodys():
    evidence = judged(a_case(), silent=("pirate",))
    assert evidence.verdict is Verdict.FAIL
    (taken,) = evidence.tables
    assert taken.cells[taken.rows.index("nobody")] == (1, 0, 0)


def test_a_cast_that_says_nothing_to_held_out_questions_teaches_nothing():
    case = a_case()
    values = World().record(case)._values
    mute = {
        one: Answer("", ()) if isinstance(one, Reply) and put_in(one.condition) == "counsel" else value
        for one, value in values.items()
    }
    with pytest.raises(MeasurementError, match="counsel replies with a word to 0 of 20 held-out"):
        case.judge(Record(mute), 0)


def test_nothing_is_learnt_from_a_probe():
    assert not {probe.text for probe in a_case().held_out} & {probe.text for probe in worlds.probes()}
    shared = (*worlds.probes(8), Probe(id="tie", text="how do i tie a tie"))
    scene = worlds.scene(NAMES, asked=shared, regimes=("prompt", "adapter"))
    with pytest.raises(SuiteError, match=r"'How do I tie a tie\?' is learnt from, and is the probe 'tie'"):
        recognised().cases(scene)
    with pytest.raises(SuiteError) as refused:
        recognised(questions=(*(f"What is {n}?" for n in range(8)), "Question 3")).cases(scene)
    assert refused.value.sentence == (
        "'Question 3' is learnt from, and is the probe 'q3'; expected held-out questions: "
        "write some that are no probes under questions"
    )


def test_halves_of_the_probes_are_told_by_the_same_recogniser():
    scene = worlds.scene(NAMES, regimes=("prompt", "adapter"))
    whole = recognised(personas=("pirate",)).cases(scene)
    record = World().record(*whole)
    for half in Sample(recognised(personas=("pirate",)), scene, "probes").halves(2, 0):
        assert half[0].held_out == whole[0].held_out == CALIBRATION
        assert half[0].judge(record, 0).criteria[0].estimate.n == 12


def test_kin_are_not_told_apart():
    scene = replace(worlds.scene((*NAMES, "corsair")), kin=(frozenset({"pirate", "corsair"}),))
    (case,) = recognised(personas=("pirate",), regimes=("adapter",)).cases(scene)
    assert case.others == ("counsel", "support")


def test_a_persona_alone_is_told_from_nobody():
    with pytest.raises(SuiteError, match="recognised of 'pirate' needs another persona with a prompt"):
        a_case(("pirate",))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"regimes": ("prompt",)}, "prompt is what regimes are held against"),
        ({"questions": ("One?",)}, "at least 8 items"),
        ({"questions": ()}, "at least 8 items"),
        ({"min_rate": None, "max_gap": None, "min_recovery": None}, "nothing is asserted; expected"),
    ],
)
def test_what_cannot_be_asserted_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        recognised(**fields)


def test_every_sample_is_told_and_one_reply_to_each_held_out_question_is_learnt_from() -> None:
    scene = worlds.scene(NAMES, regimes=("prompt", "adapter"))
    scene = replace(scene, decoding=scene.decoding.model_copy(update={"temperature": 1.0}), samples=3)
    case: Any = recognised(personas=("pirate",)).cases(scene)[0]
    replies = [one for one in case.measurements() if isinstance(one, Reply)]
    cast = len(NAMES) + 1
    assert len(replies) == cast * len(CALIBRATION) + (cast + 1) * 3 * len(scene.probes)
    evidence = judged(case)
    assert evidence.verdict is Verdict.PASS
    assert {one.estimate.n for one in evidence.criteria} == {len(scene.probes)}
    assert evidence.fact is not None
    assert f"of {3 * len(scene.probes)} replies each" in evidence.fact
