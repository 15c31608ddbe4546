"""Made-up texts with more and less of something, which some personas see in them and others do not."""

from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError, UnknownNameError
from coherence.plan import Answer, Condition, Measurement, Reply
from coherence.properties.control import DRAWN
from coherence.properties.space.relative import Relative
from coherence.vocabulary import Evidence, Verdict

NAMES = ("pirate", "counsel")
DEPTHS, WIDTH = 4, 48
DRAW = np.random.default_rng(0)
TOPICS = {probe.id: DRAW.normal(size=WIDTH) for probe in worlds.probes()}
LIKING, *OWN = np.linalg.qr(DRAW.normal(size=(WIDTH, WIDTH)))[0] * 5
WAYS = dict(zip(NAMES, OWN, strict=False))
MORE, LESS = "You love this.", "You are sick of this."
ENDS = {MORE: 0.8, LESS: -0.2}


def relative(**fields: Any) -> Relative:
    defaults = {
        "property": "relative",
        "more": MORE,
        "less": LESS,
        "sites": "resid_post.0..1",
        "moves": (0.2, 0.8),
    }
    return Relative.model_validate(defaults | fields)


def a_case(**fields: Any) -> Any:
    scene = worlds.scene(NAMES, regimes=("prompt", "adapter", "steering"))
    return relative(**{"personas": ("pirate",), "regimes": ("adapter",)} | fields).cases(scene)[0]


def judged(case: Any, liking: float = 0.5, apart: float = 1.0) -> Evidence:
    """Let the pirate like what it reads by `liking` of the way between both prompts, `apart` of it long."""
    drawn = np.random.default_rng(1)

    def liked(condition: Condition) -> np.ndarray:
        for prompt in condition.prompts:
            if prompt.text in ENDS:
                return ENDS[prompt.text] * apart * LIKING
        names = [prompt.text.removeprefix("Be ").rstrip(".") for prompt in condition.prompts]
        names += [name for name, _ in condition.adapters]
        names += [steer.vector for steer in condition.steers if steer.drawn is None]
        own = (WAYS[name] + (liking * LIKING if name == "pirate" else 0.0) for name in names if name in WAYS)
        return sum(own, np.zeros(WIDTH))

    def value(one: Measurement) -> Any:
        if isinstance(one, Reply):
            return Answer("Well.", (1,))
        noise = drawn.normal(size=(DEPTHS, WIDTH)) * 0.3
        return (TOPICS[one.probe.id] + liked(one.condition) + noise).astype(np.float32)

    return worlds.controlled(case, value)


def test_a_reading_that_moves_with_the_persona_passes_and_no_control_does():
    evidence = judged(a_case())
    assert evidence.verdict is Verdict.PASS
    (move,) = evidence.criteria
    assert (move.key, move.estimate.n) == ("moves", 24)
    assert move.estimate.low <= 0.5 <= move.estimate.high
    assert move.estimate.high - move.estimate.low < 0.3
    assert {control.name: control.verdict for control in evidence.controls} == {
        "nothing in its place": Verdict.FAIL,
        "shuffled labels": Verdict.INCONCLUSIVE,
    }


def test_one_that_stays_fails_where_it_is_to_move_and_passes_where_it_is_not():
    assert judged(a_case(), liking=0.0).verdict is Verdict.FAIL
    evidence = judged(a_case(moves=(-0.2, 0.2)), liking=0.0)
    assert evidence.verdict is Verdict.PASS
    assert {control.name: control.verdict for control in evidence.controls} == {
        "what is read in its place": Verdict.FAIL
    }


def test_one_that_moves_the_other_way_fails():
    evidence = judged(a_case(), liking=-0.5)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.criteria[0].estimate.value == pytest.approx(-0.5, abs=0.1)


def test_a_neutral_prompt_and_random_vectors_have_their_turns():
    assert {one.name: one.verdict for one in judged(a_case(regimes=("prompt",))).controls} == {
        "nothing in its place": Verdict.FAIL,
        "a neutral prompt": Verdict.FAIL,
        "shuffled labels": Verdict.INCONCLUSIVE,
    }
    case = a_case(regimes=("steering",))
    assert len(case.controls()["random vectors"]) == DRAWN
    assert {one.name: one.verdict for one in judged(case).controls}["random vectors"] is Verdict.FAIL


def test_prompts_that_read_the_same_decide_nothing():
    evidence = judged(a_case(), apart=0.0)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    (move,) = evidence.criteria
    assert move.unreliable.startswith("the classifier does not tell `more` from `less` on questions not seen")
    assert move.unreliable.endswith(", expected 0.8")


def test_the_bare_model_has_a_place_and_every_site_a_move():
    evidence = judged(a_case())
    assert evidence.notes[0].startswith("the bare model is read as 0.2")
    assert evidence.curve.series["adapter"].values == pytest.approx([0.5] * DEPTHS, abs=0.15)
    assert evidence.curve.judged == ("resid_post.0", "resid_post.1")
    assert all(one.note.startswith("moved by 0.") for one in evidence.probes)


def test_one_case_for_each_regime_and_persona():
    cases = relative(personas=None).cases(worlds.scene(NAMES, regimes=("prompt", "adapter")))
    assert [(case.persona, case.slug) for case in cases] == [
        (name, regime) for regime in ("prompt", "adapter") for name in NAMES
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"moves": (0.5, 0.1)}, r"the range \[0.5, 0.1\] does not rise"),
        ({"less": MORE}, "more and less are the same prompt"),
        ({"regimes": ("bare",)}, "the bare model has no persona to keep"),
        ({"position": "prompt_last", "part": "both"}, "part goes with a position in the reply"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        relative(**fields)


def test_a_persona_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="no persona is named 'pirat'; did you mean 'pirate'"):
        a_case(personas=("pirat",))


def test_few_probes_are_refused():
    scene = worlds.scene(NAMES, asked=worlds.probes(7), regimes=("prompt",))
    with pytest.raises(SuiteError, match="relative needs at least 8 probes; the suite has 7"):
        relative().cases(scene)
