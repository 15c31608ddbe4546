"""Made-up residuals: personas with directions of their own, that a regime moves along, or elsewhere."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError, UnknownNameError
from coherence.plan import Answer, Condition, Measurement, Reply
from coherence.properties.control import DRAWN
from coherence.properties.space.classifier import Classifier
from coherence.vocabulary import Evidence, Verdict

NAMES = ("pirate", "counsel", "support", "oncall")
DEPTHS, WIDTH = 4, 48
DRAW = np.random.default_rng(0)
TOPICS = {probe.id: DRAW.normal(size=WIDTH) for probe in worlds.probes()}
DIRECTIONS = dict(zip(NAMES, np.linalg.qr(DRAW.normal(size=(WIDTH, WIDTH)))[0] * 6, strict=False))
GENERIC = DRAW.normal(size=WIDTH)


def classifier(**fields: Any) -> Classifier:
    defaults = {"property": "classifier", "sites": "resid_post.0..1", "min_transfer": 0.8, "max_gap": 0.25}
    return Classifier.model_validate(defaults | fields)


def a_case(names: Any = NAMES, **fields: Any) -> Any:
    scene = worlds.scene(names, regimes=("prompt", "adapter", "steering"))
    return classifier(**{"personas": ("pirate",), "regimes": ("adapter",)} | fields).cases(scene)[0]


def put_in(condition: Condition) -> str | None:
    """Who a condition puts into the model by prompt, adapter or vector; nobody where that is drawn."""
    if condition.prompts:
        return condition.prompts[0].text.removeprefix("Be ").rstrip(".")
    if condition.adapters:
        return condition.adapters[0][0]
    return next((steer.vector for steer in condition.steers if steer.drawn is None), None)


def judged(case: Any, prompted: float = 1.0, strength: float = 1.0, swapped: bool = False) -> Evidence:
    """Move personas by prompts `prompted` of their way, by artefacts `strength` of it.

    `swapped` gives the pirate's artefacts what is the counsel's.
    """
    drawn = np.random.default_rng(1)

    def moved(condition: Condition) -> np.ndarray:
        name = put_in(condition)
        if name is None:
            return np.zeros(WIDTH)
        if condition.prompts:
            return prompted * (DIRECTIONS[name] + GENERIC)
        name = "counsel" if swapped and name == "pirate" else name
        return strength * (DIRECTIONS[name] + GENERIC)

    def value(one: Measurement) -> Any:
        if isinstance(one, Reply):
            return Answer("Arr.", (1,))
        noise = drawn.normal(size=(DEPTHS, WIDTH)) * 0.5
        return (TOPICS[one.probe.id] + moved(one.condition) + noise).astype(np.float32)

    return worlds.controlled(case, value)


def test_a_regime_that_moves_as_prompts_do_is_read_and_no_control_is():
    evidence = judged(a_case())
    assert evidence.verdict is Verdict.PASS
    assert {control.name: control.verdict for control in evidence.controls} == {
        "nothing in its place": Verdict.FAIL,
        "counsel by adapter": Verdict.FAIL,
        "support by adapter": Verdict.FAIL,
        "oncall by adapter": Verdict.FAIL,
        "shuffled labels": Verdict.INCONCLUSIVE,
    }
    assert evidence.fact == (
        "by what a classifier learnt of prompted replies, 100% of the replies of adapter are the persona's, "
        "and 1% of the others'"
    )


def test_a_regime_that_hardly_moves_is_not_read_though_prompts_are():
    evidence = judged(a_case(), strength=0.2)
    assert worlds.by_key(evidence)["min_transfer"].verdict is Verdict.FAIL
    assert worlds.by_key(evidence)["max_gap"].verdict is Verdict.FAIL
    gap = worlds.by_key(evidence)["max_gap"].estimate
    assert gap.value == pytest.approx(1.0 - worlds.by_key(evidence)["min_transfer"].estimate.value, abs=0.05)
    taken = dict(zip(evidence.tables[0].rows, evidence.tables[0].cells, strict=True))
    assert taken["pirate"][0] > 0.9
    assert taken["pirate"][1] < 0.5


def test_another_personas_adapter_is_taken_for_that():
    evidence = judged(a_case(), swapped=True)
    assert worlds.by_key(evidence)["min_transfer"].verdict is Verdict.FAIL
    taken = dict(zip(evidence.tables[0].rows, evidence.tables[0].cells, strict=True))
    assert taken["pirate"][0] > 0.9
    assert taken["pirate"][1] == 0


def test_prompts_that_say_nothing_decide_nothing():
    evidence = judged(a_case(), prompted=0.0)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.criteria[0].unreliable.startswith(
        "the classifier does not read prompted replies to questions that it has not seen: accuracy 0."
    )
    assert evidence.criteria[0].unreliable.endswith(", expected 0.8")


def test_random_vectors_take_turns_where_the_regime_steers():
    case = a_case(regimes=("steering",))
    assert len(case.controls()["random vectors"]) == DRAWN
    random = {one.name: one.verdict for one in judged(case).controls}["random vectors"]
    assert random is Verdict.FAIL


def test_probabilities_and_accuracies_are_shown_at_every_site():
    evidence = judged(a_case())
    assert [table.columns for table in evidence.tables] == [
        ("prompt", "adapter"), ("Brier score", "calibration error")
    ]  # fmt: skip
    assert evidence.tables[1].rows == ("prompt", "adapter")
    assert all(0 <= value < 0.1 for row in evidence.tables[1].cells for value in row)
    assert len(evidence.curve.at) == DEPTHS
    assert evidence.curve.judged == ("resid_post.0", "resid_post.1")
    assert [str(one) for one in evidence.curve.thresholds] == ["adapter at least 0.8"]


def test_kin_say_nothing_against_it():
    scene = worlds.scene((*NAMES, "corsair"), regimes=("prompt", "adapter"))
    (case,) = classifier(personas=("pirate",)).cases(replace(scene, kin=(frozenset({"pirate", "corsair"}),)))
    assert case.others == ("counsel", "support", "oncall")


def test_one_case_for_each_regime_but_the_prompt():
    cases = classifier().cases(worlds.scene(NAMES, regimes=("prompt", "adapter", "steering")))
    assert [(case.persona, case.slug) for case in cases] == [
        (name, regime) for regime in ("adapter", "steering") for name in NAMES
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"regimes": ("prompt",)}, "prompt is what the classifier is trained on"),
        ({"regimes": ("bare",)}, "the bare model has no persona to keep"),
        ({"min_transfer": None, "max_gap": None}, "nothing is asserted; expected at least one of"),
        ({"position": "prompt_last", "part": "both"}, "part goes with a position in the reply"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        classifier(**fields)


def test_a_cast_of_two_is_too_small():
    with pytest.raises(SuiteError) as refused:
        a_case(("pirate", "counsel"))
    assert refused.value.sentence == (
        "classifier of 'pirate' needs at least two other personas with a prompt to be told from, one of "
        "which adapter can put into the model; found counsel, and by adapter counsel"
    )


def test_a_persona_that_is_not_there_is_refused():
    with pytest.raises(UnknownNameError, match="no persona is named 'pirat'; did you mean 'pirate'"):
        a_case(personas=("pirat",))


def test_few_probes_are_refused():
    scene = worlds.scene(NAMES, asked=worlds.probes(7), regimes=("prompt", "adapter"))
    with pytest.raises(SuiteError, match="classifier needs at least 8 probes; the suite has 7"):
        classifier().cases(scene)
