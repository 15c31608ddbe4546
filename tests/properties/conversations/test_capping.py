import re
from dataclasses import replace

import numpy as np
import pytest
import worlds
from looked import takes_what_it_needs

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Answer, Divergence, Likelihood, Reading, Record, Reply
from coherence.properties.conversations.capping import Capping
from coherence.vocabulary import Bound, Persona, Position, Script, Tokens, Verdict

PROBES = worlds.probes(12)
TURNS, WIDTH, DEPTH = 3, 8, 4
SCRIPTS = worlds.scripts(8, TURNS)
CAP = {"sites": "resid_post.1..2", "at": 0.3, "tokens": "assistant"}
ASKED = {"max_position": 0.5, "max_rate": 0.5, "max_user_shift": 0.1, "max_perplexity": 1.0, "max_kl": 0.05}


def scene(scripts=SCRIPTS, probes=PROBES, **personas):
    cast = {**worlds.personas(["pirate", "counsel"]), "mute": Persona(), **personas}
    return worlds.scene(cast, ["pirate"], (), probes, scripts)


def case_of(on=None, **fields):
    defaults = {"site": "resid_post.2", "cap": CAP, "personas": ["pirate"]}
    (case,) = Capping(property="capping", **defaults | fields).cases(on or scene())
    return case


class World(worlds.World):
    """Where each conversation stands, and what it costs to have it there."""

    def __init__(self, case, seed=0, free=1.0, capped=0.3, user=0.0, says="arr", kl=0.01, stranger=0.5):
        self.case, self.drawn = case, np.random.default_rng(seed)
        self.free, self.capped, self.user, self.says = free, capped, user, says
        self.kl, self.stranger = kl, stranger
        self.line = self.drawn.normal(size=WIDTH)
        self.scatter = {}

    def own(self, condition):
        """Whether it is capped towards the persona itself."""
        cap = condition.cap
        return cap is not None and "pirate" in str(cap.high[0].condition.prompts)

    def reply(self, need):
        capped = self.own(need.condition)
        pirate = need.condition.prompts and not (capped and "arr" not in self.says)
        return Answer("pirate" if pirate and (not capped or "pirate" in self.says) else "plain", (1, 2))

    def divergence(self, need):
        return np.full(need.tokens, self.kl * self.drawn.uniform(0.8, 1.2), np.float32)

    def likelihood(self, need):
        surprise = 2 + (np.log(self.stranger) if self.own(need.text.condition) else 0)
        return np.full(4, -surprise + 0.02 * self.drawn.normal(), np.float32)

    def reading(self, need):
        """Scatter of a script belongs to what is read there, whatever it is read under."""
        turn = len(need.text.turns) if need.text else 0
        place = need.probe.id, turn, need.position
        if place not in self.scatter:
            self.scatter[place] = 0.05 * self.drawn.normal(size=WIDTH)
        at = self.free if need.condition.prompts else 0.0
        if need.position is Position.USER_MEAN:
            at = 0.2 + (self.user * turn if self.own(need.condition) else 0)
        elif self.own(need.condition):
            at = self.capped
        values = np.zeros((DEPTH, WIDTH), np.float32)
        values[:] = self.scatter[place] + at * self.line
        return values


def test_a_cap_that_holds_the_persona_and_nothing_else_passes():
    evidence = World(case_of(**ASKED)).judged()
    assert evidence.verdict is Verdict.PASS
    position, rate, shift, perplexity, kl, highest = evidence.criteria
    assert position.estimate.value == pytest.approx(0.3, abs=0.05)
    assert (rate.estimate.value, shift.estimate.value) == (0, pytest.approx(0, abs=1e-6))
    assert perplexity.estimate.value == pytest.approx(0.5, abs=0.02)
    assert kl.estimate.value == pytest.approx(0.01, abs=0.002)
    assert [criterion.key for criterion in evidence.criteria] == [*ASKED, "max_worst_kl"]
    assert highest.estimate.name == "highest KL of the bare model under the cap"
    assert (highest.at_most, highest.law) == (0.5, True)
    assert 0.01 < highest.estimate.value < 0.013
    assert evidence.notes[-1].startswith(
        "none of 12 probes has a KL of the bare model under the cap over 0.5"
    )


def test_a_probe_that_the_cap_breaks_fails():
    evidence = World(case_of(max_kl=0.05, max_worst_kl=0.011)).judged()
    assert [criterion.verdict for criterion in evidence.criteria] == [Verdict.PASS, Verdict.FAIL]


def test_all_traces_are_in_one_picture():
    curve = World(case_of(max_position=0.5), free=1.0, capped=0.3, user=0.1).judged().curve
    assert (curve.over.title, curve.at) == ("turn", ("1", "2", "3"))
    assert curve.series["assistant"].values == pytest.approx([1, 1, 1], abs=0.06)
    assert curve.series["assistant, capped"].values == pytest.approx([0.3, 0.3, 0.3], abs=0.06)
    moved = np.subtract(curve.series["user, capped"].values, curve.series["user"].values)
    assert moved == pytest.approx([0, 0.1, 0.2], abs=0.02)


@pytest.mark.parametrize(
    ("world", "key"),
    [
        ({"capped": 0.8}, "max_position"),
        ({"says": "arr, pirate"}, "max_rate"),
        ({"user": 0.2}, "max_user_shift"),
        ({"user": -0.2}, "max_user_shift"),
        ({"stranger": 3.0}, "max_perplexity"),
        ({"kl": 0.4}, "max_kl"),
    ],
)
def test_each_criterion_can_fail_alone(world, key):
    evidence = World(case_of(**ASKED), **world).judged()
    assert evidence.verdict is Verdict.FAIL
    assert {one.key for one in evidence.criteria if one.verdict is not Verdict.PASS} == {key}


def test_the_highest_turn_decides_and_not_the_mean():
    world = World(case_of(max_position=0.5))
    reading = world.reading

    def later(need):
        last = need.text is not None and len(need.text.turns) == TURNS - 1
        high = last and world.own(need.condition) and need.position is Position.RESPONSE_MEAN
        return reading(need) + (np.float32(0.6) * world.line.astype(np.float32) if high else 0)

    world.reading = later
    evidence = world.judged()
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.value == pytest.approx(0.9, abs=0.05)
    assert "is that to turn 3" in evidence.probes[0].note


def test_what_is_near_the_bound_cannot_be_decided():
    evidence = World(case_of(max_position=0.3)).judged()
    assert evidence.verdict is Verdict.INCONCLUSIVE


def test_a_bound_that_nothing_reaches_is_said():
    case = case_of(cap=CAP | {"at": 1.5}, max_user_shift=0.1)
    evidence = World(case, capped=1.0, says="arr, pirate").judged()
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.decisive.unreliable == (
        "the cap changes nothing: under prompt no token goes beyond 1.5 of the way to pirate at "
        "resid_post.1..2"
    )


def test_what_has_not_to_be_held_proves_nothing():
    evidence = World(case_of(max_position=1.5), capped=0.3).judged()
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert "is not clearly above 1.5: nothing is held" in evidence.decisive.unreliable


def test_a_cap_towards_another_persona_does_not_hold_this_one():
    case = case_of(max_position=0.5)
    (other,) = case.controls()["a cap towards counsel"]
    assert other.bound == Bound.model_validate(CAP | {"persona": "counsel"})
    record = World(case).record(case, other)
    (control,) = case.controlled(record, seed=0)
    assert control.verdict is not Verdict.PASS


def test_only_what_has_to_be_held_has_a_control():
    assert not case_of(max_user_shift=0.1).controls()
    assert not case_of(on=scene(counsel=Persona()), max_position=0.5).controls()
    kin = replace(scene(), kin=(frozenset({"pirate", "counsel"}),))
    assert not case_of(on=kin, max_position=0.5).controls()


def test_costs_are_measured_where_they_are_asked_for():
    kinds = {type(need) for need in case_of(max_position=0.5).measurements()}
    assert kinds == {Reply, Reading}
    assert Divergence in {type(need) for need in case_of(max_kl=0.1).measurements()}
    assert Likelihood in {type(need) for need in case_of(max_perplexity=1).measurements()}


def test_the_users_turns_of_the_uncapped_text_are_read_under_the_cap_too():
    case = case_of(max_user_shift=0.1)
    free, capped = (side.conversations.condition for side in (case.free, case.capped))
    read = [need for need in case.measurements() if isinstance(need, Reading) and need.text]
    across = [need for need in read if need.condition == capped and need.text.condition == free]
    assert len(across) == len(SCRIPTS) * TURNS
    assert {need.position for need in across} == {Position.USER_MEAN}


def test_turns_that_are_written_down_have_no_answer_of_the_models():
    forced = Script.model_validate(
        {"id": "s0", "turns": [{"user": "a", "assistant": "b"}, {"user": "c"}, {"user": "d"}]}
    )
    evidence = World(case_of(on=scene(scripts=(forced, *SCRIPTS[1:])), **ASKED)).judged()
    assert evidence.verdict is Verdict.PASS


def test_the_cap_of_a_persona_is_the_default():
    own = scene(pirate=worlds.persona("pirate", cap=CAP | {"tokens": "all"}))
    case = case_of(on=own, cap=None, personas=None, max_position=0.5)
    assert case.persona == "pirate"
    assert case.capped.conversations.condition.cap.tokens is Tokens.ALL


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cap": None}, "persona 'pirate' has no cap; expected one there, or `cap:` here"),
        ({"cap": None, "personas": None}, "capping found no persona"),
        ({"personas": ["mute"], "max_rate": 0.5}, "persona 'mute' has no markers, and max_rate counts them"),
        ({"cap": CAP | {"persona": "pirat"}}, "no persona is named 'pirat'; did you mean 'pirate'?"),
        ({"cap": CAP | {"persona": "mute"}}, "persona 'mute' cannot be put into the model by prompt"),
        ({"on": scene(scripts=())}, "capping needs at least 4 scripts, and the suite has 0 for it"),
        ({"on": scene(probes=PROBES[:3])}, "capping needs at least 8 probes"),
    ],
)
def test_what_cannot_be_capped_is_a_sentence(fields, sentence):
    with pytest.raises(SuiteError, match=re.escape(sentence)):
        case_of(**{"max_position": 0.5} | fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "nothing is asserted; expected at least one of max_position, max_rate"),
        ({"max_position": 1, "max_worst_kl": 1}, "max_worst_kl goes with max_kl"),
        ({"max_kl": 1, "regimes": ["prompt+cap"]}, "prompt+cap has a cap already"),
        ({"max_kl": 1, "cap": CAP | {"tokens": "user"}}, "'prompt', 'reply' or 'assistant'"),
        ({"max_kl": 1, "cap": CAP | {"sites": "resid_post.9..2"}}, "runs backwards"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(fields, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Capping.model_validate({"property": "capping", "site": "resid_post.2"} | fields)


def test_an_axis_of_no_length_is_an_error():
    world = World(case_of(max_position=0.5))
    world.line = np.zeros(WIDTH)
    record = world.record()
    with pytest.raises(MeasurementError, match=r"the axis of pirate has no length at resid_post\.2"):
        world.case.judge(record, seed=0)


def test_a_control_is_about_what_has_to_be_held_alone():
    (other,) = case_of(**ASKED).controls()["a cap towards counsel"]
    assert (other.spec.max_position, other.spec.max_rate) == (0.5, 0.5)
    assert {type(need) for need in other.needs()} == {Reply, Reading}
    assert Position.USER_MEAN not in {need.position for need in other.needs() if isinstance(need, Reading)}


def test_criteria_take_no_more_than_they_rest_on():
    case = case_of(**ASKED)
    world = World(case)
    record = Record({need: world.value(need) for need in case.needs()})
    assert [one.key for one in case.criteria(case.sample(record, seed=0))] == [*ASKED, "max_worst_kl"]


def test_no_array_is_made_again():
    """Hashing a condition that is capped is most of what judging takes."""
    case = case_of(**ASKED)
    takes_what_it_needs(case, World(case).record())
