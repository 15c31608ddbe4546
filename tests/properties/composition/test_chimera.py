from dataclasses import dataclass

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, NextToken, Reading, Reply
from coherence.properties.composition.chimera import Chimera
from coherence.vocabulary import Persona, Verdict

PROBES = worlds.probes(24)
NAMES = ("pirate", "counsel", "support", "oncall", "upbeat")
DEPTH, WIDTH, VOCABULARY = 3, 256, 50


def scene(names=NAMES, probes=PROBES, adapters=(*NAMES, "mix")):
    return worlds.scene(names, adapters, NAMES, probes)


def chimera(**fields):
    defaults = {
        "of": ("pirate", "counsel"),
        "adapter": "mix",
        "sums": ("steering",),
        "sites": "resid_post.0..1",
        "min_cosine": 0.8,
        "max_kl_ratio": 0.3,
        "max_difference": 0.25,
    }
    return Chimera(property="chimera", **defaults | fields)


def parts(condition):
    """The personas in a condition; the chimera holds both of its parents."""
    held = [name for name, _ in condition.adapters] + [steer.vector for steer in condition.steers]
    return ["pirate", "counsel"] if held == ["mix"] else held


@dataclass
class World(worlds.World):
    """Personas are additive directions beside a large generic one; the sum holds the generic one twice."""

    case: object
    parts: object = parts
    noise: float = 0.05
    generic: float = 5.0

    def __post_init__(self):
        self._drawn = np.random.default_rng(0)
        self._direction = {name: self._drawn.normal(size=WIDTH) for name in NAMES}
        self._token = {name: 2 * self._drawn.normal(size=VOCABULARY) for name in NAMES}
        self._shared = self._drawn.normal(size=WIDTH)
        self._question = self._drawn.normal(size=(len(PROBES), WIDTH))

    def reading(self, need):
        held = self.parts(need.condition)
        times = len(need.condition.adapters) + len(need.condition.steers)
        where = self._question[PROBES.index(need.probe)] + self.generic * times * self._shared
        where = where + sum((self._direction[name] for name in held), np.zeros(WIDTH))
        rows = where + self.noise * self._drawn.normal(size=(DEPTH, WIDTH))
        rows[0] = 0
        return rows.astype(np.float32)

    def next_token(self, need):
        logits = sum((self._token[name] for name in self.parts(need.condition)), np.zeros(VOCABULARY))
        logits = logits + 0.1 * self._drawn.normal(size=VOCABULARY)
        return (logits - np.log(np.exp(logits).sum())).astype(np.float32)

    def reply(self, need):
        return Answer(" ".join(["Well,", *self.parts(need.condition)]), (1, 2))


def judged(world=World, **fields):
    case = chimera().cases(scene())[0]
    return case.judge(world(case, **fields).record(), seed=0)


def by_name(evidence):
    return {criterion.estimate.name: criterion for criterion in evidence.criteria}


def of_another(condition):
    """The chimera was trained on something else."""
    return ["support"] if [name for name, _ in condition.adapters] == ["mix"] else parts(condition)


def test_a_chimera_that_is_the_sum_passes():
    evidence = judged()
    assert evidence.verdict is Verdict.PASS
    criteria = by_name(evidence)
    assert criteria["specific cosine"].estimate.value > 0.9
    assert criteria["KL ratio"].estimate.value < 0.05
    assert criteria["marker rate sum - chimera"].estimate.value == 0


def test_an_unrelated_chimera_fails_although_its_raw_cosine_is_high():
    evidence = judged(parts=of_another)
    criteria = by_name(evidence)
    assert criteria["specific cosine"].verdict is Verdict.FAIL
    assert criteria["KL ratio"].verdict is Verdict.FAIL
    assert criteria["KL ratio"].estimate.value > 0.9
    assert evidence.curve.series["raw"].values[2] > 0.95
    assert evidence.curve.series["specific"].values[2] < 0.3


def test_a_chimera_of_one_parent_is_not_the_sum():
    def half(condition):
        return ["pirate"] if [name for name, _ in condition.adapters] == ["mix"] else parts(condition)

    evidence = judged(parts=half)
    assert by_name(evidence)["specific cosine"].estimate.value == pytest.approx(1 / np.sqrt(2), abs=0.15)
    assert evidence.verdict is Verdict.FAIL


class Broken(World):
    """At one question the steered sum says something else."""

    def next_token(self, need):
        broken = need.probe is PROBES[7] and need.condition.steers
        self.parts = (lambda _: ["support"]) if broken else parts
        return super().next_token(need)


def test_one_broken_probe_fails_at_its_own_bound():
    criteria = by_name(judged(Broken))
    assert criteria["KL ratio"].verdict is not Verdict.FAIL
    assert criteria["highest KL ratio"].estimate.value < 3
    case = chimera(max_worst_kl_ratio=1).cases(scene())[0]
    evidence = case.judge(Broken(case).record(), seed=0)
    assert evidence.decisive.estimate.name == "highest KL ratio"
    assert evidence.verdict is Verdict.FAIL
    assert any(note.startswith("heavy tail: 'q7' alone makes") for note in evidence.notes)


class Silent(World):
    """The steered sum moves the model and says nothing of it."""

    def reply(self, need):
        return Answer("Well.", (1,)) if need.condition.steers else super().reply(need)


def test_behaviour_alone_can_fail_a_chimera():
    evidence = judged(Silent)
    assert evidence.decisive.estimate.name == "marker rate sum - chimera"
    assert evidence.decisive.estimate.value == -1
    assert evidence.verdict is Verdict.FAIL
    assert evidence.notes[-1] == "replies with a marker of either persona: sum 0%, chimera 100%, bare 0%"


class Mute(World):
    """Nobody ever shows a marker: equal rates of nothing."""

    def reply(self, need):
        return Answer("Well.", (1,))


def test_two_sides_that_show_no_marker_are_not_alike():
    criterion = by_name(judged(Mute))["marker rate sum - chimera"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable == (
        "the chimera's marker rate 0.00 is not clearly above the bare rate 0.00: more probes do not help"
    )


class Idle(World):
    """Next tokens are those of bare in every condition."""

    def next_token(self, need):
        return np.full(VOCABULARY, -np.log(VOCABULARY), np.float32)


def test_a_chimera_with_the_next_token_of_bare_explains_nothing():
    criterion = by_name(judged(Idle))["KL ratio"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert "there is nothing to explain" in criterion.unreliable


def test_directions_lost_in_noise_are_inconclusive():
    criterion = by_name(judged(noise=40.0))["specific cosine"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert "the ceiling" in criterion.unreliable


class Still(World):
    """The vectors act on the last site alone."""

    def reading(self, need):
        rows = super().reading(need)
        rows[1] = self._question[PROBES.index(need.probe)]
        return rows


def test_a_sum_that_moves_nothing_is_undefined_and_no_cosine_of_0():
    evidence = judged(Still)
    criterion = by_name(evidence)["specific cosine"]
    assert criterion.unreliable == "the chimera moves nothing at resid_post.0"
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert evidence.curve.series["specific"].values[:2] == (None, None)


def test_the_curve_runs_over_all_sites():
    curve = judged().curve
    assert curve.at == ("resid_pre.0", "resid_post.0", "resid_post.1")
    assert set(curve.series) == {"raw", "specific", "ceiling"}


def test_the_furthest_probes_show_their_replies():
    note = judged(parts=of_another).probes[0]
    assert note.note.startswith("KL of the chimera from the sum")
    assert note.replies == {"sum": "Well, pirate counsel", "chimera": "Well, support", "bare": "Well,"}


def test_a_site_beyond_the_model_is_an_error():
    case = chimera(sites="resid_post.9").cases(scene())[0]
    with pytest.raises(MeasurementError, match=r"resid_post\.9 lies beyond the model.* resid_post\.1"):
        case.judge(World(case).record(), seed=0)


def test_ids_name_both_personas_and_the_regime():
    cases = chimera(sums=["steering", "adapter"]).cases(scene())
    assert [(case.persona, case.slug) for case in cases] == [
        ("pirate+counsel", "steering"),
        ("pirate+counsel", "adapter"),
    ]
    assert [[str(regime) for regime in case.regimes] for case in cases] == [["steering"], ["adapter"]]


def test_the_sum_and_the_chimera_are_measured_in_all_three_ways():
    case = chimera().cases(scene())[0]
    for kind, conditions in ((NextToken, 3), (Reply, 3), (Reading, 3 + 2 * 3)):
        needs = {need for need in case.measurements() if isinstance(need, kind)}
        assert len({need.condition for need in needs}) == conditions
        assert {need.probe for need in needs} == set(PROBES)


def test_named_controls_replace_the_others():
    (case,) = chimera(personas=("support", "upbeat")).cases(scene())
    assert case.controls_by_kin == (("support",), ("upbeat",))


def test_an_unknown_adapter_is_an_error():
    with pytest.raises(SuiteError, match="no adapter of the release is named 'mixx'; did you mean 'mix'"):
        chimera(adapter="mixx").cases(scene())


def test_a_sum_needs_the_artefacts_of_both():
    without_counsel = scene(adapters=("pirate", "support", "oncall", "mix"))
    with pytest.raises(SuiteError, match="'counsel' cannot be put into the model by adapter"):
        chimera(sums=["adapter"]).cases(without_counsel)


def test_without_two_controls_nothing_is_specific():
    with pytest.raises(SuiteError, match=r"needs at least two control personas .* found support"):
        chimera().cases(scene(names=("pirate", "counsel", "support")))


def test_a_persona_without_markers_is_an_error():
    marked = scene()
    marked.personas["counsel"] = Persona()
    with pytest.raises(SuiteError, match="chimera compares markers, and persona 'counsel' has none"):
        chimera().cases(marked)


def test_a_sum_is_of_two_different_personas():
    with pytest.raises(ValidationError, match="expected two different personas"):
        chimera(of=("pirate", "pirate"))
