"""Made-up traits with directions of their own, each from its opposite's prompt to its own."""

import re
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError, UnknownNameError
from coherence.plan import Measurement
from coherence.properties.space.traits import Traits
from coherence.vocabulary import Evidence, Verdict

AGAINST = {"evil": "good", "rude": "polite", "bored": "eager", "sunny": "gloomy", "odd": "plain"}
TOGETHER, OPPOSED = ("evil", "rude", "bored"), ("sunny",)
NAMES = (*AGAINST, *AGAINST.values())
DEPTHS, WIDTH = 4, 48
DRAW = np.random.default_rng(0)
TOPICS = {probe.id: DRAW.normal(size=WIDTH) for probe in worlds.probes()}
COMMON, GENERIC, *OWN = np.linalg.qr(DRAW.normal(size=(WIDTH, WIDTH)))[0] * 3
WAYS = dict(zip(AGAINST, OWN, strict=False))
SIGNS = {"evil": 1.0, "rude": 1.0, "bored": 1.0, "sunny": -1.0, "odd": 0.0}


def traits(**fields: Any) -> Traits:
    defaults = {
        "property": "traits",
        "against": AGAINST,
        "together": TOGETHER,
        "opposed": OPPOSED,
        "sites": "resid_post.0..1",
    }
    return Traits.model_validate(defaults | fields)


def a_case(regimes: tuple[str, ...] = ("prompt",), **fields: Any) -> Any:
    return traits(**fields).cases(worlds.scene(NAMES, regimes=regimes))[0]


def judged(case: Any, common: float = 1.0, still: str | None = None) -> Evidence:
    """Let prompts go `common` of the way that traits share, half to either side; `still` has no way."""
    drawn = np.random.default_rng(1)
    sides = {name: (trait, 0.5) for trait in AGAINST for name in (trait,)}
    sides |= {opposite: (trait, -0.5) for trait, opposite in AGAINST.items()}

    def moved(name: str) -> np.ndarray:
        trait, side = sides[name]
        return 0.0 if trait == still else side * (WAYS[trait] + common * SIGNS[trait] * COMMON)

    def value(one: Measurement) -> Any:
        names = [prompt.text.removeprefix("Be ").rstrip(".") for prompt in one.condition.prompts]
        names += [name for name, _ in one.condition.adapters]
        # What says nothing moves as far as any prompt does.
        way = sum(GENERIC + (moved(name) if name in sides else 0.0) for name in names)
        silent = still is not None and set(names) & {still, AGAINST[still]}
        noise = (0.0 if silent or not names else 0.3) * drawn.normal(size=(DEPTHS, WIDTH))
        return (TOPICS[one.probe.id] + way + noise).astype(np.float32)

    return worlds.controlled(case, value)


def test_traits_that_share_a_way_pass_and_no_control_does():
    evidence = judged(a_case())
    assert evidence.verdict is Verdict.PASS
    together, opposed = evidence.criteria
    # (w1 + c) . (w2 + c) / (|w + c| |w + c|) of three ways at right angles, as long as each other.
    assert together.estimate.low <= 0.5 <= together.estimate.high
    assert opposed.estimate.low <= -0.5 <= opposed.estimate.high
    assert {control.name: control.verdict for control in evidence.controls} == {
        "every other one turned over": Verdict.FAIL,
        "another one in the place of each": Verdict.FAIL,
    }
    assert evidence.fact == (
        "3 of 3 cosines of those together are positive, and 3 of 3 with those opposed are negative"
    )


def test_traits_that_share_nothing_do_not():
    evidence = judged(a_case(min_together=0.2, max_opposed=-0.2), common=0.0)
    assert [one.verdict for one in evidence.criteria] == [Verdict.FAIL, Verdict.FAIL]


def test_a_trait_on_the_wrong_side_fails():
    evidence = judged(a_case(together=("evil", "rude", "sunny"), opposed=()))
    assert evidence.verdict is Verdict.FAIL
    assert [one.key for one in evidence.criteria] == ["min_together"]
    assert evidence.fact == "1 of 3 cosines of those together are positive"


def test_every_two_traits_are_shown():
    grid, pairs = judged(a_case()).tables
    assert (grid.rows, grid.columns, grid.matrix) == (tuple(AGAINST), tuple(AGAINST), True)
    assert pairs.columns == ("cosine", "low", "high")
    assert pairs.rows[:2] == ("evil and rude", "evil and bored")
    assert len(pairs.rows) == 10
    cells = dict(zip(pairs.rows, pairs.cells, strict=True))
    assert cells["evil and rude"][0] == pytest.approx(grid.cells[1][0])
    assert cells["sunny and odd"][1] < 0 < cells["sunny and odd"][2]


def test_prompts_that_do_the_same_are_named_and_decide_nothing():
    evidence = judged(a_case(), still="bored")
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.criteria[0].unreliable == "bored against eager moves nothing at resid_post.0"
    assert evidence.tables == ()


def test_adapters_have_traits_as_prompts_do():
    evidence = judged(a_case(regimes=("adapter",)))
    assert evidence.verdict is Verdict.PASS
    assert evidence.tables[0].name == "cosine of traits by adapter"


def test_a_bound_that_says_nothing_passes_for_what_is_turned_over_too():
    evidence = judged(a_case(opposed=(), min_together=-1.0))
    assert [one.verdict for one in evidence.criteria] == [Verdict.PASS]
    assert {control.name: control.verdict for control in evidence.controls} == {
        "every other one turned over": Verdict.PASS
    }
    assert evidence.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"together": ("evil", "rud")}, "'rud' is not among `against`; did you mean 'rude'?"),
        ({"together": ("evil",)}, "at least 2 items"),
        ({"together": ("evil", "evil")}, r"\['evil', 'evil'\] has a trait more than once"),
        ({"opposed": ("evil",)}, "'evil' is both together and opposed; expected one of them"),
        ({"against": {"evil": "evil"}}, "'evil' is its own opposite; expected two different personas"),
        ({"regimes": ("bare",)}, "the bare model has no persona to keep"),
        ({"personas": ("evil",)}, "personas"),
        ({"part": "both"}, "part goes with a position in the reply"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        traits(**fields)


def test_who_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="no persona is named 'godo'; did you mean 'good'"):
        a_case(against=AGAINST | {"evil": "godo"})


def test_few_probes_are_refused():
    with pytest.raises(SuiteError, match="traits needs at least 8 probes; the suite has 7"):
        traits().cases(worlds.scene(NAMES, asked=worlds.probes(7), regimes=("prompt",)))


def test_a_suite_without_a_regime_is_refused():
    with pytest.raises(SuiteError, match=re.escape("traits needs a regime; the suite has none")):
        traits().cases(worlds.scene(NAMES))
