"""Made-up adapters: two for one trait that share a direction, and others for other traits."""

from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError, UnknownNameError
from coherence.plan import Answer, Condition, Likelihood, Measurement, Reply, Scene
from coherence.properties.space.convergence import Convergence
from coherence.vocabulary import Evidence, Extraction, Operation, Site, VectorSource, Verdict

NAMES = ("pirate", "corsair", "counsel", "support", "oncall", "upbeat")
TRAIT = ("pirate", "corsair")
DEPTHS, WIDTH, TOKENS = 4, 48, 12
DRAW = np.random.default_rng(0)
TOPICS = {probe.id: DRAW.normal(size=WIDTH) for probe in worlds.probes()}
EFFECTS = {probe.id: DRAW.normal(size=TOKENS) + 1 for probe in worlds.probes()}
AXES = dict(zip((*NAMES, "generic"), np.linalg.qr(DRAW.normal(size=(WIDTH, WIDTH)))[0] * 3, strict=False))


def a_scene(operation: Operation = Operation.ABLATE, names: Any = NAMES) -> Scene:
    scene = worlds.scene(names, vectors=(), regimes=("prompt", "adapter"))
    vectors = {
        f"no-{name}": VectorSource(
            extract=Extraction(adapter=name, site=Site(1, "post")), operation=operation, sites="all"
        )
        for name in TRAIT
    }
    return replace(scene, release=scene.release.model_copy(update={"vectors": vectors}))


def convergence(**fields: Any) -> Convergence:
    defaults = {"property": "convergence", "of": TRAIT, "sites": "resid_post.0..1", "min_convergence": 0.5}
    return Convergence.model_validate(defaults | fields)


def a_case(**fields: Any) -> Any:
    (case,) = convergence(**fields).cases(a_scene())
    return case


def judged(case: Any, cosine: float = 0.8, left: float = 0.1) -> Evidence:
    """Let both adapters of the trait have a cosine, and ablation leave a share of an adapter's effect."""
    drawn = np.random.default_rng(1)

    def moved(condition: Condition) -> np.ndarray:
        if not condition.adapters:
            return np.zeros(WIDTH)
        ((name, _),) = condition.adapters
        own = AXES[name]
        if name == "corsair":
            own = cosine * AXES["pirate"] + sqrt(1 - cosine**2) * own
        return 2 * AXES["generic"] + own

    def value(one: Measurement) -> Any:
        if isinstance(one, Reply):
            return Answer("Arr.", (1,))
        if isinstance(one, Likelihood):
            share = 1.0 if one.condition.adapters else 0.0
            if any(steer.drawn is None for steer in one.condition.steers):
                share = left
            return (share * EFFECTS[one.probe.id] - 3).astype(np.float32)
        noise = drawn.normal(size=(DEPTHS, WIDTH)) * 0.5
        return (TOPICS[one.probe.id] + moved(one.condition) + noise).astype(np.float32)

    return worlds.controlled(case, value)


def test_adapters_that_share_a_direction_pass_and_no_control_does():
    evidence = judged(a_case(min_margin=0.3))
    assert evidence.verdict is Verdict.PASS
    estimate = worlds.by_key(evidence)["min_convergence"].estimate
    assert estimate.low <= 0.8 <= estimate.high
    assert {control.name for control in evidence.controls} == {
        "nothing in its place", *(f"{name} by adapter" for name in NAMES[2:])
    }  # fmt: skip
    assert all(control.verdict is not Verdict.PASS for control in evidence.controls)
    assert evidence.fact.startswith("the adapters of pirate and corsair have the cosine 0.")


def test_adapters_that_point_apart_fail():
    evidence = judged(a_case(), cosine=0.1)
    assert worlds.by_key(evidence)["min_convergence"].verdict is Verdict.FAIL


def test_ablation_that_carries_over_leaves_little_and_random_directions_all():
    evidence = judged(a_case(without={"pirate": "no-pirate"}, max_left=0.5))
    assert evidence.verdict is Verdict.PASS
    left = worlds.by_key(evidence)["max_left"].estimate
    assert left.name == "effect left of corsair without pirate"
    assert left.value == pytest.approx(0.1, abs=1e-3)
    outcomes = {control.name: control.criterion for control in evidence.controls}
    assert outcomes["random directions ablated"].key == "max_left"
    assert outcomes["random directions ablated"].estimate.value == pytest.approx(1, abs=1e-3)


def test_ablation_that_does_not_carry_over_fails_in_either_order():
    every = {"pirate": "no-pirate", "corsair": "no-corsair"}
    evidence = judged(a_case(without=every, max_left=0.5), left=0.9)
    failed = [one.estimate.name for one in evidence.criteria if one.verdict is Verdict.FAIL]
    assert failed == ["effect left of corsair without pirate", "effect left of pirate without corsair"]


def test_two_seeds_are_shown_beside():
    evidence = judged(a_case(seed_pair=("counsel", "support")))
    assert evidence.notes[-1].startswith("two seeds, counsel and support: ")
    assert {"specific", "best other trait", "two seeds", "ceiling", "random null"} == set(
        evidence.curve.series
    )


def test_a_case_for_each_pair_and_none_of_the_trait_among_its_controls():
    cases = convergence(of=("pirate", "corsair", "upbeat")).cases(a_scene())
    assert [case.persona for case in cases] == ["pirate-corsair", "pirate-upbeat", "corsair-upbeat"]
    assert {case.controls_by_kin for case in cases} == {(("counsel",), ("support",), ("oncall",))}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"of": ("pirate",)}, "are not two or more different personas"),
        ({"of": ("pirate", "pirate")}, "are not two or more different personas"),
        ({"max_left": 0.5}, "max_left and without go together"),
        ({"without": {"pirate": "no-pirate"}}, "max_left and without go together"),
        ({"without": {"counsel": "no-pirate"}, "max_left": 0.5}, "without names 'counsel'; expected one of"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        convergence(**fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"without": {"pirate": "no-pirat"}, "max_left": 0.5},
            "the release has no vector 'no-pirat'; did you",
        ),
        ({"seed_pair": ("counsel", "twin")}, "no adapter of the release is named 'twin'"),
    ],
)
def test_what_is_not_there_is_named(fields: dict[str, Any], sentence: str):
    with pytest.raises(UnknownNameError, match=sentence):
        a_case(**fields)


def test_a_vector_that_adds_takes_nothing_away():
    asked = convergence(without={"pirate": "no-pirate"}, max_left=0.5)
    with pytest.raises(SuiteError, match="the vector 'no-pirate' has `operation: add`; expected `ablate`"):
        asked.cases(a_scene(Operation.ADD))


def test_too_few_other_traits_are_refused():
    with pytest.raises(SuiteError, match=r"adapters of at least 2 other traits as controls.*; found counsel"):
        convergence().cases(a_scene(names=("pirate", "corsair", "counsel")))
