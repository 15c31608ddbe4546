from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Record
from coherence.properties.composition.equivalence import Equivalence
from coherence.vocabulary import Persona, Verdict

PROBES = worlds.probes(24)
NAMES = ("pirate", "counsel", "support", "oncall", "upbeat")
DEPTH, WIDTH, VOCABULARY = 3, 256, 50


def scene(names=NAMES, probes=PROBES, adapters=(*NAMES, "mix", "again"), vectors=NAMES):
    cast = {name: worlds.persona(name, markers=markers_of(name)) for name in names}
    return worlds.scene(cast, adapters, vectors, probes)


def markers_of(name):
    """Four of them, of which the first is said."""
    return [name, f"{name}s", f"{name}ing", f"{name}ed"]


def equivalence(**fields):
    defaults = {
        "of": ("pirate", "counsel"),
        "adapter": "mix",
        "sites": "resid_post.0..1",
        "max_distance": 0.2,
        "max_asymmetry": 0.3,
        "min_profile": 0.8,
        "min_direction": 0.8,
    }
    return Equivalence(property="equivalence", **defaults | fields)


def held(condition):
    """Who is in the model how much, by regime: the adapters of the mix hold both."""
    prompts = [(prompt.text.removeprefix("Be ").rstrip("."), 1.0) for prompt in condition.prompts]
    adapters = [
        (name, 1.0)
        for adapter, _ in condition.adapters
        for name in (("pirate", "counsel") if adapter in ("mix", "again") else (adapter,))
    ]
    steers = [("nobody" if steer.drawn is not None else steer.vector, 1.0) for steer in condition.steers]
    return {"prompt": prompts, "adapter": adapters, "steering": steers}


@dataclass
class World(worlds.World):
    """Personas are additive directions beside a generic one of each regime; every regime does the same."""

    case: object
    held: object = held
    noise: float = 0.05

    def __post_init__(self):
        self._drawn = np.random.default_rng(0)
        self._direction = {name: self._drawn.normal(size=WIDTH) for name in (*NAMES, "nobody")}
        self._token = {name: 2 * self._drawn.normal(size=VOCABULARY) for name in (*NAMES, "nobody")}
        self._generic = {
            name: 5 * self._drawn.normal(size=WIDTH) for name in ("prompt", "adapter", "steering")
        }
        self._question = self._drawn.normal(size=(len(PROBES), WIDTH))

    def weights(self, condition):
        found = Counter()
        for personas in self.held(condition).values():
            for name, weight in personas:
                found[name] += weight
        return found

    def reading(self, need):
        where = self._question[PROBES.index(need.probe)] + sum(
            (len(personas) * self._generic[regime] for regime, personas in self.held(need.condition).items()),
            np.zeros(WIDTH),
        )
        for name, weight in self.weights(need.condition).items():
            where = where + weight * self._direction[name]
        rows = where + self.noise * self._drawn.normal(size=(DEPTH, WIDTH))
        rows[0] = 0
        return rows.astype(np.float32)

    def next_token(self, need):
        logits = 0.1 * self._drawn.normal(size=VOCABULARY)
        for name, weight in self.weights(need.condition).items():
            logits = logits + weight * self._token[name]
        return (logits - np.log(np.exp(logits).sum())).astype(np.float32)

    def reply(self, need):
        shown = [name for name, weight in self.weights(need.condition).items() if weight > 0.5]
        return Answer(" ".join(["Well,", *shown]), (1, 2))


def cases(**fields):
    return {case.slug: case for case in equivalence(**fields).cases(scene())}


def judged(slug, world=World, asked=None, **fields):
    case = cases(**asked or {})[slug]
    return case.judge(world(case, **fields).record(), seed=0)


SUM, MIRROR, ORDER = (
    "adapter-adapter-vs-chimera",
    "prompt-adapter-vs-adapter-prompt",
    "prompt-prompt-vs-prompts-reversed",
)


@pytest.mark.parametrize("slug", [SUM, MIRROR, ORDER, "steering-steering-vs-chimera"])
def test_ways_that_come_to_the_same_pass(slug):
    evidence = judged(slug)
    assert evidence.verdict is Verdict.PASS
    criteria = worlds.by_key(evidence)
    assert criteria["max_distance"].estimate.value < 0.05
    assert criteria["min_profile"].estimate.value == pytest.approx(1)
    assert criteria["min_direction"].estimate.value > 0.95
    assert abs(criteria["max_asymmetry"].estimate.value) < 0.1


def test_the_seed_pair_is_the_unit_of_the_distance():
    evidence = judged(SUM, asked={"twin": "again", "max_distance": 2})
    distance = worlds.by_key(evidence)["max_distance"]
    assert distance.estimate.name == "KL / seed-pair null"
    assert distance.estimate.value == pytest.approx(1, abs=0.2)
    assert distance.verdict is Verdict.PASS
    assert any(note.startswith("seed-pair null: chimera and twin are ") for note in evidence.notes)
    assert "null" in evidence.curve.series


class Broken(World):
    """At one question the sum of adapters says something else."""

    def next_token(self, need):
        broken = need.probe is PROBES[7] and len(need.condition.adapters) == 2
        self.held = (lambda _: {"adapter": [("support", 1.0)]}) if broken else held
        return super().next_token(need)


@pytest.mark.parametrize(("unit", "name"), [({}, "from bare"), ({"twin": "again"}, "seed-pair null")])
def test_one_broken_probe_fails_at_its_own_bound(unit, name):
    (case,) = (
        case for case in equivalence(max_worst_distance=0.5, **unit).cases(scene()) if case.slug == SUM
    )
    evidence = case.judge(Broken(case).record(), seed=0)
    highest = next(one for one in evidence.criteria if one.law)
    assert highest.estimate.name.startswith("highest KL / ")
    assert highest.estimate.name.endswith(name)
    assert highest.verdict is Verdict.FAIL
    assert any(note.startswith("heavy tail: 'q7' alone makes") for note in evidence.notes)


def of_another(condition):
    """The chimera was trained on the second persona and somebody else."""
    others = {"adapter": [("nobody", 1.4), ("counsel", 0.6)]}
    return others if condition.adapters == (("mix", 1.0),) else held(condition)


def test_a_chimera_of_something_else_fails_in_every_way_although_its_raw_cosine_is_high():
    evidence = judged(SUM, held=of_another)
    criteria = worlds.by_key(evidence)
    assert {key for key in criteria if criteria[key].verdict is Verdict.FAIL} >= {
        "max_distance", "min_profile", "min_direction",
    }  # fmt: skip
    assert evidence.curve.series["raw"].values[2] > 0.9
    assert evidence.curve.series["specific"].values[2] < 0.6


def weak_prompts(condition):
    """What is prompted is there a third as much as what is in an adapter."""
    found = held(condition)
    return found | {"prompt": [(name, 0.3) for name, _ in found["prompt"]]}


def test_a_regime_that_wins_over_another_is_an_asymmetry():
    evidence = judged(MIRROR, held=weak_prompts)
    criterion = worlds.by_key(evidence)["max_asymmetry"]
    assert criterion.verdict is Verdict.FAIL
    assert criterion.estimate.value > 1  # the first way leans to the second persona, which its adapter holds
    wins = evidence.tables[-1]
    lean = dict(zip(wins.rows, (row[wins.columns.index("lean")] for row in wins.cells), strict=True))
    assert lean["prompt-adapter"] > 0.5
    assert lean["adapter-prompt"] < -0.5
    assert lean["adapter-prompt"] < lean["adapter-adapter"] < lean["prompt-adapter"]


def test_a_persona_that_wins_by_every_regime_is_no_asymmetry_of_ways():
    def loud(condition):
        return {
            regime: [(name, 0.5 if name == "counsel" else 1.0) for name, _ in personas]
            for regime, personas in held(condition).items()
        }

    evidence = judged(MIRROR, held=loud)
    assert worlds.by_key(evidence)["max_asymmetry"].verdict is Verdict.PASS
    assert evidence.tables[-1].cells[0][3] < -0.3


def first_prompt_wins(condition):
    found = held(condition)
    return found | {
        "prompt": [(name, 1.0 if turn == 0 else 0.2) for turn, (name, _) in enumerate(found["prompt"])]
    }


def test_prompts_whose_order_matters_are_not_equivalent():
    evidence = judged(ORDER, held=first_prompt_wins)
    criteria = worlds.by_key(evidence)
    assert criteria["max_asymmetry"].estimate.value < -1
    assert criteria["max_asymmetry"].verdict is Verdict.FAIL
    assert criteria["min_profile"].verdict is Verdict.FAIL


class Mute(World):
    """Nobody ever shows a marker."""

    def reply(self, need):
        return Answer("Well.", (1,))


def test_profiles_without_a_marker_are_no_agreement():
    criterion = worlds.by_key(judged(SUM, Mute))["min_profile"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable == (
        "the marker profile of adapter-adapter and chimera is not told from that of bare"
    )


class Parrot(World):
    """The bare model says all the markers as well."""

    def reply(self, need):
        return Answer("pirate counsel", (1,))


def test_markers_that_the_bare_model_shows_as_well_are_no_agreement():
    assert worlds.by_key(judged(SUM, Parrot))["min_profile"].verdict is Verdict.INCONCLUSIVE


class Idle(World):
    """Next tokens are those of bare in every condition."""

    def next_token(self, need):
        return np.full(VOCABULARY, -np.log(VOCABULARY), np.float32)


def test_ways_with_the_next_token_of_bare_are_not_compared():
    criterion = worlds.by_key(judged(SUM, Idle))["max_distance"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert "there is nothing to compare" in criterion.unreliable


def test_directions_lost_in_noise_are_inconclusive():
    criterion = worlds.by_key(judged(SUM, noise=60.0))["min_direction"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert "the ceiling" in criterion.unreliable


class Still(World):
    """Vectors act on the last site alone."""

    def reading(self, need):
        rows = super().reading(need)
        if need.condition.steers:
            rows[1] = self._question[PROBES.index(need.probe)]
        return rows


def test_a_way_that_moves_nothing_is_undefined_and_no_cosine_of_0():
    class NoMoves(Still):
        def reading(self, need):
            rows = super().reading(need)
            bare = not (need.condition.steers or need.condition.adapters or need.condition.prompts)
            if bare or need.condition.steers:
                rows[1] = self._question[PROBES.index(need.probe)]
            return rows

    criterion = worlds.by_key(judged("steering-steering-vs-chimera", NoMoves))["min_direction"]
    assert criterion.unreliable == "steering-steering moves nothing at resid_post.0"


def test_the_tables_are_of_all_ways_and_symmetric():
    evidence = judged(SUM)
    *squares, wins = evidence.tables
    assert [table.name for table in squares] == [
        "next token: KL, nats", "markers: cosine", "directions at resid_post.0..1: specific cosine",
    ]  # fmt: skip
    for table in squares:
        assert table.rows == table.columns
        assert len(table.rows) == 9 + 1 + 1
        cells = np.array(table.cells, float)
        assert np.allclose(cells, cells.T)
    assert np.diag(np.array(squares[0].cells, float)) == pytest.approx(0)
    assert np.diag(np.array(squares[2].cells, float)) == pytest.approx(1)
    assert wins.rows == squares[0].rows
    place = [squares[0].rows.index(slug) for slug in ("adapter-adapter", "chimera")]
    assert squares[2].cells[place[0]][place[1]] == pytest.approx(
        worlds.by_key(evidence)["min_direction"].estimate.value, abs=1e-5
    )


@pytest.mark.parametrize("slug", [SUM, MIRROR, ORDER])
def test_the_criteria_alone_are_those_of_the_evidence(slug):
    case = cases()[slug]
    record = World(case).record()
    needed = Record({need: record._values[need] for need in case.needs()})
    alone = list(case.criteria(case.sample(needed, seed=0)))
    for one, other in zip(alone, case.judge(record, seed=0).criteria, strict=True):
        assert one.key == other.key
        assert one.estimate.value == pytest.approx(other.estimate.value, abs=1e-5)


def test_the_criteria_rest_on_less_than_the_table():
    case = cases()[MIRROR]
    World(case)
    assert set(case.needs()) < set(case.measurements())


def test_the_furthest_probes_show_their_replies():
    note = judged(SUM, held=of_another).probes[0]
    assert note.note.startswith("KL between adapter-adapter and chimera ")
    assert note.replies == {
        "adapter-adapter": "Well, pirate counsel", "chimera": "Well, nobody counsel", "bare": "Well,",
    }  # fmt: skip


def test_a_control_takes_the_place_of_the_first_persona_in_one_way_only():
    case = cases()["steering-steering-vs-chimera"]
    controls = case.controls()
    assert {name: len(drawn) for name, drawn in controls.items()} == {
        "support by steering": 1, "nothing in its place": 1, "random vectors": 5,
    }  # fmt: skip
    (other,) = controls["support by steering"]
    assert [steer.vector for steer in other.pair[0].condition.steers] == ["support", "counsel"]
    assert other.pair[1] == case.pair[1]


@pytest.mark.parametrize("slug", [SUM, MIRROR, ORDER, "steering-steering-vs-chimera"])
def test_a_control_does_not_pass(slug):
    case = cases()[slug]
    controls = [each for several in case.controls().values() for each in several]
    assert controls
    for control in controls:
        record = World(control).record()
        criteria = control.criteria(control.sample(record, seed=0))
        assert any(criterion.verdict is Verdict.FAIL for criterion in criteria)


def test_two_trained_ways_have_no_control():
    (case,) = equivalence(twin="again", pairs=[("chimera", "twin")]).cases(scene())
    assert not case.controls()


def test_every_sum_mirror_and_order_is_a_pair():
    assert list(cases()) == [
        "prompt-prompt-vs-chimera",
        SUM,
        "steering-steering-vs-chimera",
        MIRROR,
        "prompt-steering-vs-steering-prompt",
        "adapter-steering-vs-steering-adapter",
        ORDER,
    ]


def test_what_the_release_does_not_have_is_left_out():
    slugs = [case.slug for case in equivalence(adapter=None).cases(scene(vectors=()))]
    assert slugs == [MIRROR, ORDER]


def test_ways_are_chosen_by_name_and_pairs_add_theirs():
    found = cases(ways=["prompt-prompt", "chimera"])
    assert list(found) == ["prompt-prompt-vs-chimera"]
    (case,) = equivalence(ways=["chimera"], pairs=[("prompt-adapter", "chimera")]).cases(scene())
    assert [way.slug for way in case.ways] == ["chimera", "prompt-adapter"]


def test_a_site_beyond_the_model_is_an_error():
    with pytest.raises(MeasurementError, match=r"resid_post\.9 lies beyond the model.* resid_post\.1"):
        judged(SUM, asked={"sites": "resid_post.9"})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pairs": [("prompt-adaptor", "twin")]}, "no way is named 'prompt-adaptor'; did you mean"),
        ({"ways": ["chimaera"]}, "no way is named 'chimaera'; did you mean 'chimera'"),
        ({"adapter": None, "twin": "again"}, "a twin is held against the adapter, and none is named"),
        ({"twin": "mix"}, "the twin 'mix' is the adapter itself; expected one trained with another seed"),
        ({"adapter": "mixx"}, "no adapter of the release is named 'mixx'; did you mean 'mix'"),
        ({"twin": "agein"}, "no adapter of the release is named 'agein'; did you mean 'again'"),
        ({"ways": ["chimera"]}, "finds no two ways to hold against each other; .* there are: chimera"),
        ({"of": ("pirate", "council")}, "no persona is named 'council'; did you mean 'counsel'"),
        ({"personas": ("support",)}, "two control personas that prompt, adapter and steering can put"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_said(fields, message):
    with pytest.raises(SuiteError, match=message):
        equivalence(**fields).cases(scene())


def test_a_way_whose_artefact_is_missing_is_an_error_where_it_is_named():
    without = scene(vectors=("pirate", "support", "oncall"))
    for fields in ({"ways": ["prompt-steering"]}, {"pairs": [("prompt-steering", "chimera")]}):
        with pytest.raises(
            SuiteError, match="'counsel' cannot be put into the model by steering: its vector"
        ):
            equivalence(**fields).cases(without)


def test_too_few_probes_are_an_error():
    with pytest.raises(SuiteError, match="equivalence needs at least 8 probes; the suite has 7"):
        equivalence().cases(scene(probes=PROBES[:7]))


def test_a_persona_without_markers_is_an_error():
    marked = scene()
    marked.personas["counsel"] = Persona(prompt="Be counsel.")
    with pytest.raises(SuiteError, match="equivalence compares markers, and persona 'counsel' has none"):
        equivalence().cases(marked)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"of": ("pirate", "pirate")}, "expected two different personas"),
        (
            {"pairs": [("chimera", "chimera")]},
            "'chimera' is compared with itself; expected two different ways",
        ),
    ],
)
def test_nothing_is_compared_with_itself(fields, message):
    with pytest.raises(ValidationError, match=message):
        equivalence(**fields)


def test_few_markers_make_no_profile():
    few = {name: Persona(prompt=f"Be {name}.", markers=[name, f"{name}s"]) for name in NAMES}
    found = equivalence().cases(replace(scene(), personas=few))
    case = next(case for case in found if case.slug == SUM)
    criterion = worlds.by_key(case.judge(World(case).record(), 0))["min_profile"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable == "4 markers make no profile, at least 8 are needed"
