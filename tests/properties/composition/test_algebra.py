from dataclasses import dataclass, field

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, NextToken, Reading, Reply, Way, WeightError
from coherence.properties.composition.algebra import Algebra
from coherence.vocabulary import Persona, Verdict

PROBES = worlds.probes(24)
NAMES = ("pirate", "counsel")
DEPTH, WIDTH, VOCABULARY, MODULES = 4, 16, 30, 12
WAYS = [way.value for way in Way if way is not Way.STACKED]
WEIGHTS, HIGHEST = "max_weight_error", "max_worst_kl"
# By the keys of their thresholds.
LAWS = {
    WEIGHTS: "error of the weights",
    "max_displacement": "displacement from the stack",
    "max_kl": "KL from the stack",
    HIGHEST: "highest KL from the stack",
    "max_difference": "marker rate merged - stacked",
}


def scene(adapters=(*NAMES, "both"), probes=PROBES, markers=NAMES):
    cast = {name: Persona(markers=[name] if name in markers else []) for name in NAMES}
    return worlds.scene(cast, adapters, vectors=(), asked=probes)


def algebra(**fields):
    defaults = {"of": NAMES, "ways": ["merged"], "sites": "resid_post.0..1", "max_difference": 0.25}
    return Algebra(property="algebra", **defaults | fields)


@dataclass
class World(worlds.World):
    """Each adapter is a direction, a taste in tokens and a word; a way puts in shares of the two."""

    case: object
    shares: dict = field(default_factory=dict)  # of counsel, by what is measured, under the judged way
    rounding: float = 1e-6

    def __post_init__(self):
        self._drawn = np.random.default_rng(0)
        self._direction = {name: self._drawn.normal(size=WIDTH) for name in NAMES}
        self._token = {name: self._drawn.normal(size=VOCABULARY) for name in NAMES}
        self._question = 10 * self._drawn.normal(size=(len(PROBES), WIDTH))

    def held(self, need):
        """How much of each adapter there is, and rounding where something was computed in another way."""
        whole = dict(need.condition.adapters)
        if need.condition.way is not Way.STACKED:
            whole["counsel"] = self.shares.get(type(need), 1 + self.rounding)
        return whole

    def weight_error(self, need):
        errors = np.full(MODULES, self.rounding, np.float32)
        errors[3] = self.shares.get(WeightError, self.rounding)
        return errors

    def reading(self, need):
        rows = np.tile(self._question[PROBES.index(need.probe)], (DEPTH, 1))
        for name, share in self.held(need).items():
            rows[1:] += share * self._direction[name]
        return rows.astype(np.float32)

    def next_token(self, need):
        logits = 0.3 * self._question[PROBES.index(need.probe), 0] * np.linspace(-1, 1, VOCABULARY)
        logits = logits + sum(share * self._token[name] for name, share in self.held(need).items())
        return (logits - np.log(np.exp(logits).sum())).astype(np.float32)

    def reply(self, need):
        return Answer(
            " ".join(["Well", *(name for name, share in self.held(need).items() if share > 0.5)]), (1,)
        )


def judged(shares=None, **fields):
    case = algebra(**fields).cases(scene())[0]
    return case.judge(World(case, shares or {}).record(), seed=0)


def test_a_way_that_differs_by_rounding_passes():
    evidence = judged()
    assert evidence.verdict is Verdict.PASS
    assert {key: one.estimate.name for key, one in worlds.by_key(evidence).items()} == LAWS
    assert evidence.notes == (
        "relative error of the weights: median 1e-06 over 12 modules",
        "replies with a marker of either persona: merged 100%, stacked 100%",
        "none of 24 probes has a KL from the stack over 0.01: at 97.5 %, fewer than 14% of all such probes "
        "have",
    )
    assert [note.replies for note in evidence.probes] == 3 * [
        {"merged": "Well pirate counsel", "stacked": "Well pirate counsel"}
    ]


@pytest.mark.parametrize(
    ("measured", "share", "keys"),
    [
        (WeightError, 0.98, [WEIGHTS]),
        (Reading, 0.8, ["max_displacement"]),
        (NextToken, 0.5, ["max_kl", HIGHEST]),
    ],
)
def test_what_fails_names_the_law(measured, share, keys):
    evidence = judged({measured: share})
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.name == LAWS[keys[0]]
    failing = [one for one, criterion in worlds.by_key(evidence).items() if criterion.verdict is Verdict.FAIL]
    assert failing == keys


class Broken(World):
    """At one question what is merged says something else."""

    def next_token(self, need):
        whole = need.probe is not PROBES[7] or need.condition.way is Way.STACKED
        self.shares = {} if whole else {NextToken: 0.0}
        return super().next_token(need)


def test_one_broken_probe_fails_whose_mean_decides_nothing():
    case = algebra(max_kl=0.03, max_worst_kl=0.2).cases(scene())[0]
    evidence = case.judge(Broken(case).record(), seed=0)
    criteria = worlds.by_key(evidence)
    assert criteria["max_kl"].verdict is Verdict.INCONCLUSIVE
    assert (criteria[HIGHEST].verdict, criteria[HIGHEST].law) == (Verdict.FAIL, True)
    assert criteria[HIGHEST].estimate.value == pytest.approx(24 * criteria["max_kl"].estimate.value, rel=1e-3)
    assert "heavy tail: 'q7' alone makes 100% of the mean KL from the stack" in evidence.notes[2]


class Silent(World):
    """What is merged does all that the stack does, and says nothing of it."""

    def reply(self, need):
        return Answer("Well", (1,)) if need.condition.way is Way.MERGED else super().reply(need)


def test_markers_alone_can_fail():
    case = algebra().cases(scene())[0]
    evidence = case.judge(Silent(case).record(), seed=0)
    assert evidence.decisive.estimate.name == LAWS["max_difference"]
    assert evidence.decisive.estimate.value == -1
    assert evidence.verdict is Verdict.FAIL


def test_the_weights_of_the_worst_module_decide():
    criterion = worlds.by_key(judged({WeightError: 0.5}))[WEIGHTS]
    assert criterion.estimate.value == criterion.estimate.low == criterion.estimate.high == 0.5
    assert criterion.law
    assert criterion.estimate.n == MODULES


def test_displacement_is_relative_to_what_the_stack_does():
    evidence = judged({Reading: 0.0})
    alone = algebra().cases(scene())[0]
    world = World(alone)
    direction = world._direction
    expected = np.linalg.norm(direction["counsel"]) / np.linalg.norm(
        direction["pirate"] + direction["counsel"]
    )
    assert worlds.by_key(evidence)["max_displacement"].estimate.value == pytest.approx(expected, rel=1e-4)
    assert evidence.curve.at[1] == "resid_post.0"
    assert evidence.curve.series["displacement"].values[0] is None
    assert evidence.curve.series["displacement"].values[1] == pytest.approx(expected, rel=1e-4)


def test_an_interval_around_a_threshold_decides_nothing():
    value = worlds.by_key(judged({NextToken: 0.5}))["max_kl"].estimate.value
    evidence = judged({NextToken: 0.5}, max_kl=value)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.decisive.key == "max_kl"


def test_a_stack_that_moves_nothing_decides_nothing():
    case = algebra().cases(scene())[0]
    world = World(case)
    world._direction = dict.fromkeys(NAMES, np.zeros(WIDTH))
    criterion = worlds.by_key(case.judge(world.record(), seed=0))["max_displacement"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable == "the stack moves nothing at resid_post.0"


def test_neither_an_adapter_alone_nor_none_is_the_sum():
    case = algebra().cases(scene())[0]
    controls = case.controls()
    assert list(controls) == ["nothing in its place", "pirate alone", "counsel alone"]
    for (control,) in controls.values():
        sample = control.sample(World(case).record(control), seed=0)
        criteria = {one.key: one for one in control.criteria(sample)}
        assert WEIGHTS not in criteria
        assert criteria["max_displacement"].verdict is Verdict.FAIL


def test_without_a_largest_difference_nobody_replies():
    case = algebra(max_difference=None).cases(scene(markers=()))[0]
    assert not any(isinstance(need, Reply) for need in case.measurements())
    evidence = case.judge(World(case).record(), seed=0)
    assert list(worlds.by_key(evidence)) == [WEIGHTS, "max_displacement", "max_kl", HIGHEST]
    assert evidence.verdict is Verdict.PASS


def test_one_case_per_way_all_by_default():
    cases = Algebra(property="algebra", of=NAMES, sites="resid_post.0").cases(scene())
    assert [case.slug for case in cases] == WAYS
    assert {case.persona for case in cases} == {"pirate+counsel"}
    assert [case.judged.way for case in cases] == [Way(way) for way in WAYS]
    assert {case.judged.adapters for case in cases} == {(("pirate", 1.0), ("counsel", 1.0))}


def test_an_adapter_trained_on_one_then_the_other_is_held_to_all_but_weights():
    *_, case = algebra(sequential="both").cases(scene())
    assert case.slug == "sequential"
    assert case.judged.adapters == (("both", 1.0),)
    assert not any(isinstance(need, WeightError) for need in case.measurements())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sequential": "bothe"}, "no adapter of the release is named 'bothe'; did you mean 'both'"),
        ({"ways": []}, "nothing to judge; expected ways, or an adapter under 'sequential'"),
        ({"of": ("pirate", "consel")}, "no persona is named 'consel'; did you mean 'counsel'"),
    ],
)
def test_what_is_missing_is_said(fields, sentence):
    with pytest.raises(SuiteError, match=sentence):
        algebra(**fields).cases(scene())


def test_personas_without_what_it_takes_are_refused():
    with pytest.raises(SuiteError, match="adapter 'counsel' is not in the release"):
        algebra().cases(scene(adapters=["pirate"]))
    with pytest.raises(SuiteError, match="compares markers, and persona 'counsel' has none"):
        algebra().cases(scene(markers=["pirate"]))
    with pytest.raises(SuiteError, match="at least 8 probes"):
        algebra().cases(scene(probes=PROBES[:7]))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [({"ways": ["stacked"]}, "stacked is what all ways are held against"), ({"ways": ["sum"]}, "'merged'")],
)
def test_ways_that_cannot_be_judged_are_refused(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        algebra(**fields)


def test_a_site_beyond_the_model_is_an_error():
    case = algebra(sites="resid_post.9").cases(scene())[0]
    with pytest.raises(MeasurementError, match=r"last site is resid_post.2"):
        case.judge(World(case).record(), seed=0)
