"""Made-up effects: a form that keeps the persona, one that keeps half of it, and another persona's."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from coherence.errors import CoherenceError, SuiteError
from coherence.plan import Answer, Condition, Likelihood, Reading, Record, Reply, Scene
from coherence.properties.serving.export import Export
from coherence.vocabulary import (
    Decoding,
    Evidence,
    Marker,
    Persona,
    Probe,
    Prompt,
    Regime,
    Release,
    Verdict,
)

PROBES = tuple(Probe(id=f"q{i}", text=f"Question {i}?") for i in range(16))
ADAPTERS = ("pirate", "merged", "halved", "counsel", "counsel-merged", "noisy", "mute")
RANDOM = np.random.default_rng(0)
OWN, OTHER, NOISE = ({probe.id: RANDOM.standard_t(4, 20) + 0.5 for probe in PROBES} for _ in range(3))
TURNED = {probe.id: RANDOM.normal(size=(3, 8)) + 2 for probe in PROBES}
ELSEWHERE = RANDOM.normal(size=(3, 8)) * 2
EXACT = dict.fromkeys(("pirate", "merged"), 1.0)


def a_scene(**given: Any) -> Scene:
    settings: dict[str, Any] = {
        "release": Release.model_validate({"adapters": {name: f"adapters/{name}" for name in ADAPTERS}}),
        "personas": {
            "pirate": Persona(prompt=Prompt(text="Be a pirate."), markers=(Marker(text="arr"),)),
            "counsel": Persona(prompt=Prompt(text="Be formal.")),
            "mute": Persona(),
        },
        "probes": PROBES,
        "regimes": (Regime.ADAPTER,),
        "neutral": "Be helpful.",
        "decoding": Decoding(),
        "seed": 0,
    }
    return Scene(**settings | given)


def export(**fields: Any) -> Export:
    return Export.model_validate({"property": "export", "forms": {"pirate": "merged"}} | fields)


def shares(adapter: str) -> tuple[float, float, float]:
    """How much of the pirate's effect, of the counsel's, and of noise."""
    return {
        "pirate": (1.0, 0.0, 0.0),
        "merged": (0.99, 0.0, 0.02),
        "halved": (0.5, 0.0, 0.02),
        "noisy": (1.0, 0.0, 0.8),
        "mute": (0.0, 0.0, 0.0),
    }.get(adapter, (0.0, 1.0, 0.0))


def effect(condition: Condition, probe: Probe) -> np.ndarray:
    own, other, noise = shares(condition.adapters[0][0]) if condition.adapters else (0.0, 0.0, 0.0)
    own *= condition.adapters[0][1] if condition.adapters else 1.0
    return own * OWN[probe.id] + other * OTHER[probe.id] + noise * NOISE[probe.id]


def measured(one: Any) -> Any:
    own, other, _ = shares(one.condition.adapters[0][0]) if one.condition.adapters else (0.0, 0.0, 0.0)
    if isinstance(one, Reply):
        return Answer("Arr, there." if own else "There.", (1, 2))
    if isinstance(one, Likelihood):
        return (effect(one.condition, one.probe) - 3).astype(np.float32)
    assert isinstance(one, Reading)
    return (own * TURNED[one.probe.id] + other * ELSEWHERE).astype(np.float32)


def judged(scene: Scene | None = None, **fields: Any) -> Evidence:
    case = export(**fields).cases(scene or a_scene())[0]
    wanted = [*case.measurements()]
    for several in case.controls().values():
        wanted += [one for each in several for one in each.needs()]
    replies = [one.text for one in wanted if isinstance(one, Likelihood | Reading)]
    record = Record({one: measured(one) for one in [*wanted, *replies]})
    return case.judge(record, 0).model_copy(update={"controls": case.controlled(record, 0)})


def verdicts(evidence: Evidence) -> list[tuple[str | None, Verdict]]:
    return [(one.key, one.verdict) for one in evidence.criteria]


def test_a_form_that_keeps_the_effect_passes_and_no_control_does():
    evidence = judged(min_direction=0.9, sites="resid_post.0..1", max_difference=0.3)
    assert {key for key, _ in verdicts(evidence)} == {
        "min_slope", "max_slope", "min_scale", "min_cosine", "min_direction", "max_difference"
    }  # fmt: skip
    assert evidence.verdict is Verdict.PASS
    assert {control.name for control in evidence.controls} == {
        "nothing in its place", "counsel by adapter", "mute by adapter"
    }  # fmt: skip
    assert all(control.verdict is not Verdict.PASS for control in evidence.controls)
    assert evidence.fact.startswith("merged keeps 99% [")
    assert "tokens of 16 replies" in evidence.notes[0]


def test_a_form_with_half_of_the_effect_fails_by_its_slope_and_scale_alone():
    evidence = judged(forms={"pirate": ["halved"]})
    assert verdicts(evidence) == [
        ("min_slope", Verdict.FAIL), ("max_slope", Verdict.PASS), ("min_scale", Verdict.FAIL),
        ("min_cosine", Verdict.PASS),
    ]  # fmt: skip
    slope = evidence.criteria[0].estimate
    assert slope.low <= 0.5 <= slope.high
    assert evidence.fact.startswith("halved keeps 50% [")
    assert evidence.probes[0].note.startswith("effect slope 0.")


def test_another_personas_export_fails_by_its_cosine():
    evidence = judged(forms={"pirate": "counsel-merged"}, min_slope=-2, max_slope=2)
    assert dict(verdicts(evidence))["min_cosine"] is Verdict.FAIL
    assert evidence.verdict is Verdict.FAIL


def test_the_same_effect_with_as_much_noise_has_the_slope_and_not_the_cosine():
    found = dict(verdicts(judged(forms={"pirate": "noisy"}, min_slope=0.5, max_slope=1.5)))
    assert (found["min_slope"], found["min_cosine"]) == (Verdict.PASS, Verdict.FAIL)


def test_a_bound_within_the_interval_cannot_be_decided():
    assert (
        dict(verdicts(judged(forms={"pirate": "noisy"}, min_slope=1.0)))["min_slope"] is Verdict.INCONCLUSIVE
    )


def test_an_adapter_without_effect_decides_nothing():
    evidence = judged(forms={"mute": "merged"})
    assert {verdict for _, verdict in verdicts(evidence)} == {Verdict.INCONCLUSIVE}
    assert "there is no effect to be kept" in str(evidence.criteria[0].unreliable)
    assert evidence.fact is None


def test_the_exports_of_other_personas_are_controls_where_they_are_named():
    case = export(forms={"pirate": "merged", "counsel": ["counsel-merged"]}).cases(a_scene())[0]
    assert set(case.controls()) == {"nothing in its place", "counsel by counsel-merged", "mute by adapter"}
    kin = a_scene(kin=(frozenset({"pirate", "counsel"}),))
    assert set(export().cases(kin)[0].controls()) == {"nothing in its place", "mute by adapter"}


def test_there_is_an_assertion_for_each_form():
    cases = export(forms={"pirate": ["merged", "halved"], "counsel": "counsel-merged"}).cases(a_scene())
    assert [(case.persona, case.slug) for case in cases] == [
        ("pirate", "merged"), ("pirate", "halved"), ("counsel", "counsel-merged")
    ]  # fmt: skip


def test_a_control_is_measured_no_further_than_its_slope():
    case = export(min_direction=0.9, sites="resid_post.0", max_difference=0.3).cases(a_scene())[0]
    steps = [list(step) for step in case.steps()]
    assert [type(step[0]) for step in steps] == [Likelihood, Likelihood, Reading, Reply]
    assert [*case.needs()] == [one for step in steps for one in step]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"forms": {"pirate": "merge"}},
            "no adapter of the release is named 'merge'; did you mean 'merged'?",
        ),
        ({"forms": {"pirate": "pirate"}}, "the form 'pirate' is the adapter of 'pirate' itself"),
        ({"forms": {"pirat": "merged"}}, "no persona is named 'pirat'; did you mean 'pirate'?"),
        ({"forms": {"counsel": "merged"}, "max_difference": 0.2}, "persona 'counsel' has none"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(fields, sentence):
    with pytest.raises(CoherenceError) as said:
        export(**fields).cases(a_scene())
    assert sentence in str(said.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"min_slope": 1.2}, "min_slope 1.2 is not below max_slope 1.1"),
        ({"min_direction": 0.9}, "expected both of min_direction and sites, or neither"),
        ({"sites": "resid_post.1"}, "expected both of min_direction and sites, or neither"),
        ({"forms": {}}, "at least 1"),
        ({"forms": {"pirate": []}}, "at least 1"),
    ],
)
def test_what_makes_no_claim_is_refused(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        export(**fields)


def test_few_probes_are_refused():
    with pytest.raises(SuiteError, match="export needs at least 8 probes"):
        export().cases(a_scene(probes=PROBES[:4]))


def test_twice_the_scale_is_told_where_the_effect_is_nearly_the_same(monkeypatch):
    """As that of an adapter whose own replies are nearly certain under it."""

    def saturated(condition: Condition, probe: Probe) -> np.ndarray:
        if not condition.adapters:
            return np.zeros(20)
        ((name, dose),) = condition.adapters
        return np.tanh(4 * OWN[probe.id] * dose * (2.0 if name == "merged" else 1.0))

    monkeypatch.setitem(globals(), "effect", saturated)
    found = judged()
    assert dict(verdicts(found)) == {
        "min_slope": Verdict.PASS, "max_slope": Verdict.PASS, "max_scale": Verdict.FAIL,
        "min_cosine": Verdict.PASS,
    }  # fmt: skip
    assert found.verdict is Verdict.FAIL


def test_an_adapter_without_a_scale_is_judged_without_it():
    found = judged(min_scale=None, max_scale=None)
    assert [key for key, _ in verdicts(found)] == ["min_slope", "max_slope", "min_cosine"]
    (case,) = export(min_scale=None, max_scale=None).cases(a_scene())
    assert {dose for one in case.needs() for _, dose in one.condition.adapters} == {1.0}
