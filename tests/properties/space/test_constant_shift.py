"""Made-up displacements: one vector everywhere, and what each probe and position has of its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError, UnknownNameError
from coherence.plan import Answer, Likelihood, Measurement, Record, Reply, Scene
from coherence.properties.space.constant_shift import ConstantShift
from coherence.vocabulary import Evidence, Extraction, Operation, Site, VectorSource, Verdict

DEPTHS, WIDTH, TOKENS = 4, 64, 12
DRAW = np.random.default_rng(0)
SHIFT = DRAW.normal(size=WIDTH)
EFFECTS = {probe.id: DRAW.normal(size=TOKENS) + 1 for probe in worlds.probes()}


def a_scene(**source: Any) -> Scene:
    scene = worlds.scene(("pirate",), vectors=())
    extract = Extraction(adapter="pirate", site=Site(2, "post"))
    shift = VectorSource(**{"extract": extract, "unit": "raw", **source})
    return replace(scene, release=scene.release.model_copy(update={"vectors": {"shift": shift}}))


def constant_shift(**fields: Any) -> ConstantShift:
    defaults = {"property": "constant_shift", "sites": "resid_post.0..2", "share": (0.4, 0.8)}
    return ConstantShift.model_validate(defaults | fields)


def a_case(**fields: Any) -> Any:
    (case,) = constant_shift(**fields).cases(a_scene())
    return case


def judged(case: Any, share: float = 0.6, replaced: float = 0.5) -> Evidence:
    """Let a share of what the adapter adds be one vector, and that have so much of its effect."""
    drawn = np.random.default_rng(1)

    def value(one: Measurement) -> Any:
        if isinstance(one, Reply):
            return Answer("Arr.", (1,))
        if isinstance(one, Likelihood):
            whole = 1.0 if one.condition.adapters else 0.0
            in_place = replaced if any(steer.drawn is None for steer in one.condition.steers) else 0.0
            return np.float32((whole + in_place) * EFFECTS[one.probe.id] - 3)
        if not one.condition.adapters:
            return np.zeros((DEPTHS, WIDTH), np.float32)
        own = drawn.normal(size=(DEPTHS, WIDTH))
        return np.float32(np.sqrt(share) * SHIFT / np.std(SHIFT) + np.sqrt(1 - share) * own)

    return worlds.controlled(case, value)


def test_a_share_within_its_range_passes_and_no_control_does():
    evidence = judged(a_case())
    assert evidence.verdict is Verdict.PASS
    estimate = worlds.by_key(evidence)["share"].estimate
    assert estimate.low <= 0.6 <= estimate.high
    assert {control.name: control.verdict for control in evidence.controls} == {
        "nothing in its place": Verdict.INCONCLUSIVE,
        "random displacements": Verdict.FAIL,
    }
    assert evidence.fact.endswith("of what pirate's adapter adds is one vector everywhere")
    assert evidence.curve.series["constant share"].values[1:] == pytest.approx([0.6] * 3, abs=0.1)
    assert evidence.tables[0].rows == ("user_mean", "prompt_last", "response_mean")


@pytest.mark.parametrize("share", [0.1, 0.95])
def test_more_or_less_of_it_fails(share: float):
    assert judged(a_case(), share).verdict is Verdict.FAIL


def test_an_adapter_that_does_nothing_decides_nothing():
    case = a_case()
    record = Record(
        {one: np.zeros((DEPTHS, WIDTH), np.float32) for one in case.needs()}
        | {one.text: Answer("Arr.", (1,)) for one in case.needs() if getattr(one, "text", None)}
    )
    evidence = case.judge(record, 0)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.fact is None


@pytest.mark.parametrize(("replaced", "verdict"), [(0.5, Verdict.PASS), (0.1, Verdict.FAIL)])
def test_a_vector_in_its_place_has_a_share_of_its_effect(replaced: float, verdict: Verdict):
    evidence = judged(a_case(vector="shift", replaced=(0.3, 0.9)), replaced=replaced)
    criterion = worlds.by_key(evidence)["replaced"]
    assert criterion.verdict is verdict
    assert criterion.estimate.name == "effect of shift in its place"
    assert criterion.estimate.value == pytest.approx(replaced, abs=1e-3)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"share": (0.0, 0.5)}, "does not rise within 0 to 1, from above 0"),
        ({"share": (0.8, 0.5)}, "does not rise within 0 to 1, from above 0"),
        ({"vector": "shift"}, "vector and replaced go together"),
        ({"vector": "shift", "replaced": (0.5, 0.2)}, "does not rise"),
        ({"positions": ("g1", "g1")}, "a position is named twice"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        constant_shift(**fields)


def test_a_vector_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="the release has no vector 'shifd'; did you mean"):
        a_case(vector="shifd", replaced=(0.1, 0.5))


def test_a_vector_that_takes_away_replaces_nothing():
    asked = constant_shift(vector="shift", replaced=(0.1, 0.5))
    with pytest.raises(SuiteError, match="the vector 'shift' has `operation: ablate`; expected `add`"):
        asked.cases(a_scene(operation=Operation.ABLATE, unit="norm"))
