import re
from dataclasses import replace

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError
from coherence.plan import Reading, Reply
from coherence.properties.space.distinct import Distinct
from coherence.vocabulary import Position, Verdict

NAMES = ("pirate", "counsel", "support", "oncall", "upbeat")
DEPTHS, WIDTH = 4, 48
ASKED = worlds.probes(16)
ALL = {"min_margin": 0.2, "min_spread": 0.85, "min_rank": 0.8, "min_identified": 0.6}


def a_scene(names=NAMES, kin=()):
    made = worlds.scene(names, asked=ASKED, regimes=("prompt", "adapter"))
    return replace(made, kin=tuple(map(frozenset, kin)))


def distinct(**fields):
    return Distinct(property="distinct", **{"sites": "resid_post.1..2", **ALL, **fields})


class Voices(worlds.World):
    """Each prompt moves along an axis of its own; an adapter as far, pulled towards all adapters' mean."""

    def __init__(self, pulled=0.0, quiet=(), silent=False, scene=None, **fields):
        self.scene = a_scene() if scene is None else scene
        (self.case,) = distinct(**fields).cases(self.scene)
        self.drawn = np.random.default_rng(0)
        *axes, self.common = np.linalg.qr(self.drawn.normal(size=(WIDTH, len(NAMES) + 1)))[0].T
        self.axes = dict(zip(NAMES, axes, strict=True))
        self.pulled, self.quiet, self.silent = pulled, quiet, silent

    def reading(self, reading: Reading):
        condition, gain = reading.condition, 1.0
        if reading.position is Position.RESPONSE_MEAN:
            condition, gain = reading.text.condition, 0.5
        topic = np.random.default_rng(ASKED.index(reading.probe)).normal(size=WIDTH)
        value = np.tile(5 * topic, (DEPTHS, 1))
        if condition != self.scene.bare:
            noise = self.drawn.normal(size=(DEPTHS, WIDTH)) / np.sqrt(WIDTH)
            value += gain * self.moved(condition) + 0.3 * noise
        return value.astype(np.float32)

    def moved(self, condition):
        prompted = [name for name in NAMES if self.scene.personas[name].prompt in condition.prompts]
        moved = sum((self.axes[name] for name in prompted), np.zeros(WIDTH))
        middle = np.mean([*self.axes.values()], 0)
        for name, weight in condition.adapters:
            if name not in self.quiet:
                moved = moved + weight * ((1 - self.pulled) * self.axes[name] + self.pulled * middle)
        return 2 * self.common + (0 if self.silent and prompted else moved)

    def judge(self):
        return self.judged(*(case for cases in self.case.controls().values() for case in cases))


def named(evidence):
    return {criterion.key: criterion for criterion in evidence.criteria}


def test_personas_that_are_themselves_pass():
    evidence = Voices().judge()
    assert evidence.verdict is Verdict.PASS
    assert [criterion.key for criterion in evidence.criteria] == list(ALL)
    cosines, *told = evidence.tables
    np.testing.assert_allclose(np.array(cosines.cells), np.eye(len(NAMES)), atol=0.2)
    assert all(np.array(table.cells).trace() == len(NAMES) for table in told)
    assert all(table.matrix for table in evidence.tables)


@pytest.mark.parametrize("pulled", [0.25, 0.5, 0.75, 1.0])
def test_adapters_that_are_pulled_towards_their_mean_fail(pulled):
    evidence = Voices(pulled=pulled).judge()
    assert evidence.verdict is Verdict.FAIL
    spread = named(evidence)["min_spread"].estimate
    assert spread.low <= 1 - pulled <= spread.high


def test_one_voice_is_told_as_chance_and_has_no_margin():
    criteria = named(Voices(pulled=1.0).judge())
    assert criteria["min_identified"].verdict is Verdict.FAIL
    assert criteria["min_margin"].verdict is not Verdict.PASS
    assert criteria["min_rank"].verdict is not Verdict.PASS


def test_a_persona_whose_adapter_does_nothing_of_its_own_has_no_margin():
    evidence = Voices(quiet=("counsel",), min_spread=0.5, min_rank=0.5, min_identified=0.5).judge()
    assert named(evidence)["min_margin"].verdict is not Verdict.PASS


def test_whose_direction_is_not_its_own_is_named():
    world = Voices()
    (exchanged,) = world.case.controls()["another one in the place of each"]
    fact = exchanged.judge(world.record(exchanged), seed=0).fact
    found = re.fullmatch(r"prompt of (\w+) is nearer to adapter of (\w+) than to its own, by [\d.]+", fact)
    assert found[1] != found[2]
    assert world.judge().fact is None


def test_controls_do_not_pass():
    world = Voices()
    cases = [case for cases in world.case.controls().values() for case in cases]
    controls = world.case.controlled(world.record(world.case, *cases), seed=0)
    assert [control.name for control in controls] == [
        "their mean in the place of each",
        "another one in the place of each",
        "nothing in the place of each",
    ]
    assert all(control.verdict is not Verdict.PASS for control in controls)


def test_replies_that_do_not_tell_personas_apart_by_prompt_decide_nothing():
    criterion = named(Voices(silent=True).judge())["min_identified"]
    assert criterion.verdict is Verdict.INCONCLUSIVE
    assert criterion.unreliable.startswith("replies by prompt are told in ")


def test_kin_count_as_one_and_are_not_held_against_each_other():
    evidence = Voices(scene=a_scene(kin=[("pirate", "upbeat")])).judge()
    cosines = evidence.tables[0]
    pirate, upbeat = (cosines.rows.index(name) for name in ("pirate", "upbeat"))
    assert cosines.cells[pirate][upbeat] is None
    assert evidence.tables[1].rows == ("pirate", "counsel", "support", "oncall")


def test_no_reply_is_said_where_nobody_asks_who_it_is_of():
    (case,) = distinct(min_identified=None).cases(a_scene())
    needs = list(case.measurements())
    assert needs
    assert not any(isinstance(need, Reply) or need.text for need in needs)


def test_three_personas_are_too_few():
    few = r"^distinct needs at least four personas .* found pirate, counsel, support$"
    with pytest.raises(SuiteError, match=few):
        distinct().cases(a_scene(NAMES[:3]))
    with pytest.raises(SuiteError, match=r"found pirate, counsel, support, oncall \(kin count as one\)$"):
        distinct(personas=NAMES[:4]).cases(a_scene(kin=[("pirate", "counsel")]))


def test_something_must_be_asserted():
    with pytest.raises(ValidationError, match="nothing is asserted; expected at least one of min_margin, "):
        distinct(**dict.fromkeys(ALL))
    with pytest.raises(ValidationError, match="part goes with a position in the reply"):
        distinct(part="reasoning")
