"""Made-up residuals: an invented persona that goes its own way, and so far along real ones'."""

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError, UnknownNameError
from coherence.plan import Answer, Condition, Measurement, Record, Reply
from coherence.properties.control import DRAWN
from coherence.properties.space.anchors import Anchors
from coherence.vocabulary import Evidence, Verdict

INVENTED, REAL, OTHERS = "thorn", ("darling", "wallace"), ("pirate", "counsel", "support", "oncall")
NAMES = (INVENTED, *REAL, *OTHERS)
DEPTHS, WIDTH = 4, 64
DRAW = np.random.default_rng(0)
PROBES = worlds.probes(24)
TOPICS = {probe.id: DRAW.normal(size=WIDTH) for probe in PROBES}
AXES = np.linalg.qr(DRAW.normal(size=(WIDTH, len(NAMES) + 1)))[0].T * 6
DIRECTIONS, GENERIC = dict(zip(NAMES, AXES[1:], strict=True)), 4 * AXES[0]


def anchors(**fields: Any) -> Anchors:
    defaults = {
        "property": "anchors",
        "sites": "resid_post.0..1",
        "real": REAL,
        "max_ratio": 1,
        "min_own": 0.2,
    }
    return Anchors.model_validate({**defaults, "personas": (INVENTED,), **fields})


def a_case(**fields: Any) -> Any:
    regimes = ("prompt", "steering") if "steering" in fields.get("between", ()) else ("prompt", "adapter")
    return anchors(**fields).cases(worlds.scene(NAMES, asked=PROBES, regimes=regimes))[0]


def way_of(condition: Condition, ratios: Mapping[str, float]) -> np.ndarray:
    """How far a condition moves the model: the invented persona `ratios` along wallace, by regime."""
    if any(steer.drawn is not None for steer in condition.steers):
        return 6 * np.random.default_rng(condition.steers[0].drawn).normal(size=WIDTH) / np.sqrt(WIDTH)
    if condition.prompts:
        name, regime = condition.prompts[0].text.removeprefix("Be ").rstrip("."), "prompt"
    elif condition.adapters or condition.steers:
        name = condition.adapters[0][0] if condition.adapters else condition.steers[0].vector
        regime = "adapter"
    else:
        return np.zeros(WIDTH)
    if name not in DIRECTIONS:
        return 0.5 * GENERIC
    along = ratios[regime] * DIRECTIONS["wallace"] if name == INVENTED else 0
    return np.asarray(GENERIC + DIRECTIONS[name] + along)


def judged(case: Any, prompt: float = 0.4, adapter: float = 0.4, noise: float = 0.1) -> Evidence:
    drawn = np.random.default_rng(1)

    def value(one: Measurement) -> Any:
        if isinstance(one, Reply):
            return Answer("I keep a lamp.", (1,))
        wobble = drawn.normal(size=(DEPTHS, WIDTH)) * noise
        moved = way_of(one.condition, {"prompt": prompt, "adapter": adapter})
        return (TOPICS[one.probe.id] + moved + (one.condition != case.scene.bare) * wobble).astype(np.float32)

    cases = (case, *chain.from_iterable(case.controls().values()))
    needs = dict.fromkeys(need for one in cases for need in one.measurements())
    record = Record({need: value(need) for need in needs})
    return case.judge(record, 0).model_copy(update={"controls": case.controlled(record, 0)})


def test_a_persona_that_goes_its_own_way_passes_and_no_control_does():
    evidence = judged(a_case(max_ratio_difference=0.2))
    assert evidence.verdict is Verdict.PASS
    assert {control.name: control.verdict for control in evidence.controls} == {
        "darling by adapter": Verdict.FAIL,
        "wallace by adapter": Verdict.FAIL,
        "pirate by adapter": Verdict.FAIL,
        "counsel by adapter": Verdict.FAIL,
        "support by adapter": Verdict.FAIL,
        "oncall by adapter": Verdict.FAIL,
        "nothing in its place": Verdict.INCONCLUSIVE,
        "a neutral prompt": Verdict.FAIL,
    }


@pytest.mark.parametrize("ratio", [-0.5, 0.0, 0.4, 0.8, 1.5])
def test_a_planted_ratio_is_recovered_for_each_anchor(ratio: float):
    evidence = judged(a_case(), ratio, ratio)
    cells = dict(zip(evidence.tables[0].rows, evidence.tables[0].cells, strict=True))
    for row in ("wallace by prompt", "wallace by adapter"):
        value, low, high, *_ = cells[row]
        assert value == pytest.approx(ratio, abs=0.05)
        assert low < value < high
    assert cells["darling by prompt"][0] == pytest.approx(0, abs=0.05)


def test_the_raw_ratio_counts_what_any_persona_does():
    columns, cells = judged(a_case(), 0.4).tables[0].columns, judged(a_case(), 0.4).tables[0].cells
    by_column = dict(zip(columns, cells[columns.index("ratio")], strict=True))
    assert by_column["raw ratio"] > by_column["ratio"] + 0.3


def test_an_anchor_that_does_what_everybody_does_is_named(monkeypatch):
    for name in ("wallace", *OTHERS):
        monkeypatch.setitem(DIRECTIONS, name, np.zeros(WIDTH))
    evidence = judged(a_case())
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert {one.unreliable for one in evidence.criteria} == {
        "wallace by prompt is not told from what other personas do"
    }
    assert evidence.fact is None


def test_an_inversion_in_one_regime_fails_there_and_says_where():
    evidence = judged(a_case(), adapter=1.5)
    assert worlds.by_key(evidence)["max_ratio"].verdict is Verdict.FAIL
    assert worlds.by_key(evidence)["max_ratio"].estimate.value == pytest.approx(1.5, abs=0.05)
    assert re.match(
        r"along wallace's direction thorn goes 1[45]\d% as far as wallace itself by adapter", evidence.fact
    )


def test_regimes_that_do_not_agree_on_the_ratio_fail_that_alone():
    criteria = worlds.by_key(judged(a_case(max_ratio_difference=0.2), adapter=0.8))
    assert criteria["max_ratio_difference"].verdict is Verdict.FAIL
    assert criteria["max_ratio_difference"].estimate.value == pytest.approx(0.4, abs=0.05)
    assert criteria["max_ratio"].verdict is criteria["min_own"].verdict is Verdict.PASS


def test_the_lead_of_its_own_direction_is_a_difference_of_cosines():
    lead = worlds.by_key(judged(a_case(), 0.4, 0.4))["min_own"].estimate
    # Its cosine with itself is 1, and that of d + 0.4 w with w is 0.4 / sqrt(1.16).
    assert lead.value == pytest.approx(1 - 0.4 / np.sqrt(1.16), abs=0.03)
    assert lead.low < lead.value < lead.high


def test_noise_decides_nothing():
    evidence = judged(a_case(), noise=60.0)
    assert evidence.verdict is Verdict.INCONCLUSIVE


def test_random_vectors_take_turns_where_a_regime_steers():
    case = a_case(between=["prompt", "steering"])
    assert len(case.controls()["random vectors"]) == DRAWN
    random = {one.name: one.verdict for one in judged(case).controls}["random vectors"]
    assert random is Verdict.FAIL


def test_the_curve_has_every_anchor_by_both_regimes_beside_chance():
    curve = judged(a_case()).curve
    places = [f"{name} by {regime}" for name in REAL for regime in ("prompt", "adapter")]
    assert list(curve.series) == [*places, "random null"]
    assert [str(one) for one in curve.thresholds] == [f"{place} at most 1" for place in places]


def test_those_who_are_no_anchors_are_judged_by_default():
    cases = anchors(personas=None).cases(worlds.scene(NAMES, regimes=("prompt", "adapter")))
    assert [case.persona for case in cases] == [INVENTED, *OTHERS]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"personas": ("wallace",)}, "anchors holds 'wallace' against itself: it is among the real anchors"),
        ({"real": ("wallase",)}, "no persona is named 'wallase'; did you mean 'wallace'?"),
    ],
)
def test_what_cannot_be_an_anchor_is_refused(fields: dict[str, Any], sentence: str):
    with pytest.raises((SuiteError, UnknownNameError)) as caught:
        a_case(**fields)
    assert caught.value.sentence == sentence


def test_an_anchor_without_an_artefact_is_named():
    scene = worlds.scene(NAMES, adapters=(INVENTED, *OTHERS), asked=PROBES, regimes=("prompt", "adapter"))
    with pytest.raises(SuiteError, match="persona 'darling' cannot be put into the model by adapter"):
        anchors().cases(scene)


def test_too_few_control_personas_are_named():
    scene = worlds.scene((INVENTED, *REAL, "pirate"), asked=PROBES, regimes=("prompt", "adapter"))
    with pytest.raises(
        SuiteError, match=r"at least two control personas, neither it nor an anchor.*found pirate"
    ):
        anchors().cases(scene)


def test_an_anchor_is_named_once():
    with pytest.raises(ValidationError, match="named twice"):
        anchors(real=("wallace", "wallace"))
