import re
from dataclasses import replace

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError
from coherence.properties.space.persona_space import DEFAULTS, Space
from coherence.properties.space.roles import SHIPPED, shipped
from coherence.vocabulary import Verdict

NAMES = ("pirate", "counsel", "support", "oncall")
DEPTHS, WIDTH, ROLES = 3, 48, 8
ASKED = worlds.probes(16)
ALL = {"max_shift": 0.2, "min_contained": 0.6, "min_stability": 0.6}


def a_scene(names=NAMES, neutral="Be helpful."):
    made = worlds.scene(names, asked=ASKED, regimes=("prompt", "adapter"))
    return replace(made, neutral=neutral)


def space(**fields):
    return Space(property="space", **{"site": "resid_post.1", "roles": ROLES, **ALL, **fields})


class Roles(worlds.World):
    """Prompts move along three axes of persona space, and away from the default along a fourth.

    Adapters move the same way but for `aside`, and take the default along by `pulled` of the axis.
    """

    def __init__(self, pulled=0.1, aside=0.2, quiet=(), scene=None, apart=1.0, **fields):
        self.scene = a_scene() if scene is None else scene
        (self.case,) = space(**fields).cases(self.scene)
        self.drawn = np.random.default_rng(0)
        self.axis, *axes = np.linalg.qr(self.drawn.normal(size=(WIDTH, 4 + len(NAMES))))[0].T
        self.axes, self.others = np.array(axes[:3]), dict(zip(NAMES, axes[3:], strict=True))
        prompts = [*self.case.roles, *self.case.prompted.values()]
        scores = np.random.default_rng(1).normal(size=(len(prompts), 3)) * [1.5, 1.0, 0.7]
        scores[:ROLES] -= scores[:ROLES].mean(0)  # or roles would lie aside of the axis as well
        self.scores = {one.prompts: each for one, each in zip(prompts, scores, strict=True)}
        self.pulled, self.aside, self.quiet, self.apart = pulled, aside, quiet, apart

    def reading(self, reading):
        topic = np.random.default_rng(ASKED.index(reading.probe)).normal(size=WIDTH)
        value = np.tile(5 * topic, (DEPTHS, 1))
        if reading.condition != self.scene.bare:
            noise = self.drawn.normal(size=(DEPTHS, WIDTH)) / np.sqrt(WIDTH)
            value += self.moved(reading.condition) + 0.3 * noise
        return value.astype(np.float32)

    def moved(self, condition):
        moved = np.zeros(WIDTH)
        if condition.prompts:
            moved = moved - self.apart * self.axis + self.scores[condition.prompts] @ self.axes
        for name, weight in condition.adapters:
            if name not in self.quiet:
                own = self.scores[(self.scene.personas[name].prompt,)] @ self.axes
                moved = moved + weight * (own + self.aside * self.others[name] - self.pulled * self.axis)
        return moved

    def judge(self):
        return self.judged(*(case for cases in self.case.controls().values() for case in cases))


def named(evidence):
    return {criterion.key: criterion for criterion in evidence.criteria}


def test_a_space_that_holds_passes():
    world = Roles()
    evidence = world.judge()
    assert evidence.verdict is Verdict.PASS
    criteria = named(evidence)
    shift = criteria["max_shift"].estimate
    assert shift.low <= 0.1 <= shift.high
    assert evidence.fact is None
    assert criteria["min_contained"].estimate.value > 0.7
    assert [one.name for one in evidence.tables] == [
        "position on the assistant axis by prompt",
        "position on the assistant axis by adapter",
        "shift of the default under adapter",
        "distance of adapter from prompt within persona space",
        "principal angles of persona space and adapter",
    ]
    positions = np.array(evidence.tables[0].cells)
    np.testing.assert_allclose(positions[:, 0], 0, atol=0.2)


def test_an_adapter_that_takes_the_default_along_fails():
    evidence = Roles(pulled=0.6).judge()
    assert named(evidence)["max_shift"].verdict is Verdict.FAIL
    shift = named(evidence)["max_shift"].estimate
    assert shift.low <= 0.6 <= shift.high
    assert re.match(
        r"adapter of \w+ moves the default prompts by 0\.6\d? of the axis towards the roles", evidence.fact
    )


def test_what_lies_aside_of_persona_space_fails():
    evidence = Roles(aside=4.0).judge()
    assert named(evidence)["min_contained"].verdict is Verdict.FAIL


def test_a_default_that_is_no_place_of_its_own_decides_nothing():
    evidence = Roles(apart=0.0, scene=a_scene(neutral=None)).judge()
    criterion = named(evidence)["max_shift"]
    assert criterion.verdict is not Verdict.PASS


def test_a_persona_that_does_not_move_is_named():
    evidence = Roles(quiet=("counsel",), scene=a_scene()).judge()
    assert named(evidence)["min_contained"].unreliable is None  # its noise moves it
    world = Roles()
    record = world.record(world.case)
    values = dict(record._values)
    for reading in world.case.readings.of(world.case.put_in["counsel"]):
        (bare,) = [one for one in world.case.readings.of(world.scene.bare) if one.probe == reading.probe]
        values[reading] = values[bare]
    criterion = named(world.case.judge(type(record)(values), seed=0))["min_contained"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable == "adapter of counsel moves nothing at resid_post.1"


def test_more_components_than_there_are_decide_nothing():
    criterion = named(Roles(components=9).judge())["min_contained"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable == (
        "3 of 9 components are told from noise, as some of the personas and roles lie along others"
    )


def test_controls_are_of_what_is_claimed_of_personas():
    world = Roles()
    controls = world.case.controlled(
        world.record(world.case, *(case for cases in world.case.controls().values() for case in cases)),
        seed=0,
    )
    assert [control.name for control in controls] == ["nothing in its place"]
    assert controls[0].verdict is not Verdict.PASS
    (case,) = space(min_contained=None).cases(a_scene())
    assert case.controls() == {}


def test_its_picture_joins_a_persona_by_prompt_and_in_the_regime():
    scatter = Roles().judge().scatter
    groups = {
        group: [one.name for one in scatter.points if one.group == group] for group in ("prompt", "adapter")
    }
    assert groups["prompt"] == groups["adapter"] == list(NAMES)
    default = [point.x for point in scatter.points if point.group == "default"]
    assert len(default) == 1 + len(DEFAULTS)
    assert np.mean(default) == pytest.approx(1)


def test_the_default_has_other_system_turns_only_where_there_is_one():
    (case,) = space().cases(a_scene())
    assert [one.neutral for one in case.defaults] == ["Be helpful.", *DEFAULTS]
    (case,) = space().cases(a_scene(neutral=None))
    assert [one.neutral for one in case.defaults] == [None]
    assert {one.prompts[0].role for one in case.roles} == {"user"}


def test_the_shipped_roles_are_forty_different_ones():
    assert len(shipped()) == len(set(shipped())) == SHIPPED


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(SuiteError, match=r"^space needs at least three personas .* found pirate, counsel$"):
        space().cases(a_scene(NAMES[:2]))
    with pytest.raises(
        SuiteError, match=r"^12 roles and personas have at most 11 components; found components: 12$"
    ):
        space(components=12).cases(a_scene())
    with pytest.raises(
        ValidationError, match=r"the role 'Be A\.' is there more than once; expected each once"
    ):
        space(roles=["Be A.", "Be B.", "Be C.", "Be  A. "])
    with pytest.raises(ValidationError, match="found 3; expected at least 4 roles"):
        space(roles=["Be A.", "Be B.", "Be C."])
    with pytest.raises(ValidationError, match="prompt has no artefact that could move the default"):
        space(regimes=["prompt"])
    with pytest.raises(ValidationError, match="nothing is asserted"):
        space(**dict.fromkeys(ALL))
