"""Made-up likelihoods: personas that find their own replies likely, and regimes that do as much or less."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Condition, Measurement, Reply
from coherence.properties.behaviour.voice import Voice
from coherence.vocabulary import Evidence, Verdict

NAMES = ("pirate", "counsel", "support")
TOKENS = 12


def voice(**fields: Any) -> Voice:
    defaults = {"property": "voice", "min_accuracy": 0.7, "min_share": 0.4, "max_gap": 0.3}
    return Voice.model_validate(defaults | fields)


def a_case(names: Any = NAMES, **fields: Any) -> Any:
    scene = worlds.scene(names, regimes=("prompt", "adapter", "steering"))
    return voice(**{"personas": ("pirate",), "regimes": ("adapter",)} | fields).cases(scene)[0]


def put_in(condition: Condition) -> str | None:
    """Who a condition puts into the model; nobody where its vector is drawn."""
    if condition.prompts:
        return condition.prompts[0].text.removeprefix("Be ").rstrip(".")
    if condition.adapters:
        return condition.adapters[0][0]
    return next((steer.vector for steer in condition.steers if steer.drawn is None), None)


def judged(
    case: Any, prompted: float = 1.0, strength: float = 0.6, instead: str = "", empty: Any = ()
) -> Evidence:
    """Let prompts gain `prompted` nats a token on own replies, and artefacts `strength` of it.

    All gain half a nat on anybody's. `instead` is whose the pirate's artefacts are, `empty` says to which
    probes the counsel replies nothing.
    """
    drawn = np.random.default_rng(0)

    def gain(condition: Condition, speaker: str | None) -> float:
        name = put_in(condition)
        if name is None:
            return 0.0
        if condition.prompts:
            return 0.5 + prompted * (name == speaker)
        name = instead if instead and name == "pirate" else name
        return strength * (0.5 + (name == speaker))

    def value(one: Measurement) -> Any:
        if isinstance(one, Reply):
            silent = put_in(one.condition) == "counsel" and one.probe.id in empty
            return Answer("" if silent else f"{put_in(one.condition)} {one.probe.id}", (1,))
        noise = drawn.normal(size=TOKENS) * 0.3
        text = np.linspace(-3, -1, TOKENS) + (0 if one.condition == case.scene.bare else noise)
        return (text + gain(one.condition, put_in(one.text.condition))).astype(np.float32)

    return worlds.controlled(case, value)


def test_a_regime_that_finds_the_personas_replies_likelier_passes_and_no_control_does():
    evidence = judged(a_case())
    assert evidence.verdict is Verdict.PASS
    assert worlds.by_key(evidence)["min_share"].estimate.value == pytest.approx(0.6, abs=0.08)
    assert worlds.by_key(evidence)["min_accuracy"].estimate.value == 1
    assert {control.name: control.verdict for control in evidence.controls} == {
        "nothing in its place": Verdict.FAIL,
        "counsel by adapter": Verdict.FAIL,
        "support by adapter": Verdict.FAIL,
    }


def test_the_fact_counts_replies_and_says_how_far_they_lead():
    assert judged(a_case()).fact.startswith(
        "of 24 replies of the prompted pirate, so many gain more than those of 2 others: 24 by prompt, 0.9"
    )


def test_a_small_dose_leads_by_little_and_clearly():
    evidence = judged(a_case(min_accuracy=None, max_gap=None, min_share=0.02), strength=0.1)
    (share,) = evidence.criteria
    assert 0.02 < share.estimate.low < 0.1 < share.estimate.high < 0.2
    assert evidence.verdict is Verdict.PASS


def test_nothing_in_the_regime_gains_nothing():
    evidence = judged(a_case(), strength=0.0)
    assert worlds.by_key(evidence)["min_share"].verdict is Verdict.FAIL
    assert worlds.by_key(evidence)["max_gap"].verdict is Verdict.FAIL


def test_anothers_artefact_leads_the_other_way_and_the_table_says_whose():
    evidence = judged(a_case(), instead="counsel")
    assert evidence.verdict is Verdict.FAIL
    assert worlds.by_key(evidence)["min_accuracy"].estimate.value < 0.1
    (leads,) = evidence.tables
    assert leads.columns == ("prompt", "prompt low", "prompt high", "adapter", "adapter low", "adapter high")
    counsel, support = (row[leads.columns.index("adapter")] for row in leads.cells)
    assert counsel == pytest.approx(-0.6, abs=0.1)
    assert support == pytest.approx(0, abs=0.1)
    assert "counsel" in evidence.probes[0].note


def test_prompts_that_do_not_tell_their_replies_apart_decide_nothing():
    evidence = judged(a_case(), prompted=0.0)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.criteria[0].unreliable.startswith(
        "the prompt itself does not clearly make its replies likelier than those of others: lead "
    )


def test_random_vectors_take_turns_where_the_regime_steers():
    controls = {one.name: one.verdict for one in judged(a_case(regimes=("steering",))).controls}
    assert controls["random vectors"] is Verdict.FAIL


def test_probes_without_a_reply_are_left_out_and_counted():
    evidence = judged(a_case(), empty={"q0", "q1"})
    assert {criterion.estimate.n for criterion in evidence.criteria} == {22}
    assert "2 probes are left out, to which a prompted persona replies nothing" in evidence.notes
    with pytest.raises(MeasurementError, match="only 4 of 24 probes have a reply of every prompted persona"):
        judged(a_case(), empty={f"q{number}" for number in range(20)})


def test_kin_are_not_told_apart():
    scene = replace(worlds.scene((*NAMES, "corsair")), kin=(frozenset({"pirate", "corsair"}),))
    (case,) = voice(personas=("pirate",), regimes=("adapter",)).cases(scene)
    assert case.others == ("counsel", "support")


def test_one_case_for_each_regime_but_the_prompt():
    cases = voice().cases(worlds.scene(NAMES, regimes=("prompt", "adapter", "steering")))
    assert [(case.persona, case.slug) for case in cases] == [
        (name, regime) for regime in ("adapter", "steering") for name in NAMES
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"regimes": ("prompt",)}, "prompt is what regimes are held against"),
        ({"regimes": ("bare",)}, "the bare model has no persona to keep"),
        ({"min_accuracy": None, "min_share": None, "max_gap": None}, "nothing is asserted; expected"),
    ],
)
def test_what_cannot_be_asserted_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        voice(**fields)


def test_a_persona_alone_is_told_from_nobody():
    with pytest.raises(SuiteError, match="voice of 'pirate' needs another persona with a prompt"):
        a_case(("pirate",))
