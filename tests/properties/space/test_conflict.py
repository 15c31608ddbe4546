"""Made-up residuals on the way from one persona's prompt to another's, as far as the dose brings them."""

import re
from itertools import chain
from math import inf
from typing import Any

import numpy as np
import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import SuiteError
from coherence.plan import Answer, Measurement, Record, Reply
from coherence.properties.space.conflict import Conflict
from coherence.vocabulary import Evidence, Verdict

NAMES = ("pirate", "counsel", "support")
DEPTHS, WIDTH = 4, 32
DRAW = np.random.default_rng(0)
TOPICS = {probe.id: DRAW.normal(size=WIDTH) for probe in worlds.probes()}
WAYS = dict(zip(NAMES, np.linalg.qr(DRAW.normal(size=(WIDTH, WIDTH)))[0] * 3, strict=False))


def conflict(**fields: Any) -> Conflict:
    defaults = {
        "property": "conflict",
        "of": ("pirate", "counsel"),
        "site": "resid_post.1",
        "wins_at": (0.3, 0.8),
    }
    return Conflict.model_validate(defaults | fields)


def a_case(**fields: Any) -> Any:
    (case,) = conflict(**fields).cases(worlds.scene(NAMES))
    return case


def judged(case: Any, pull: float = 1.0, alike: bool = False) -> Evidence:
    """Let a dose of 1 bring the prompted pirate `pull` of the way to the prompted counsel."""
    drawn = np.random.default_rng(1)

    def value(one: Measurement) -> Any:
        if isinstance(one, Reply):
            return Answer("Arr.", (1,))
        (prompt,) = one.condition.prompts
        way = np.zeros(WIDTH) if alike else WAYS[prompt.text.removeprefix("Be ").rstrip(".")]
        for steer in one.condition.steers:
            if steer.drawn is None and steer.vector == "counsel":
                way = way + pull * steer.dose * (WAYS["counsel"] - WAYS["pirate"])
        noise = drawn.normal(size=(DEPTHS, WIDTH)) * 0.5
        # Nothing is steered before the first block.
        by_depth = np.array([0.0, 1.0, 1.0, 1.0])[:, None] * way
        return (TOPICS[one.probe.id] + by_depth + noise).astype(np.float32)

    cases = (case, *chain.from_iterable(case.controls().values()))
    needs = chain(case.needs_for_figures(), (need for each in cases for need in each.needs()))
    record = Record({need: value(need) for need in dict.fromkeys(needs)})
    return case.judge(record, 0).model_copy(update={"controls": case.controlled(record, 0)})


def test_a_vector_that_wins_half_way_passes_and_no_control_does():
    evidence = judged(a_case())
    assert evidence.verdict is Verdict.PASS
    (dose,) = evidence.criteria
    assert (dose.key, dose.estimate.n) == ("wins_at", 24)
    assert dose.estimate.low <= 0.5 <= dose.estimate.high
    assert dose.estimate.high - dose.estimate.low < 0.2
    assert {control.name: control.verdict for control in evidence.controls} == {
        "nothing in its place": Verdict.FAIL,
        "support by steering": Verdict.FAIL,
        "random vectors": Verdict.FAIL,
    }
    assert re.fullmatch(
        r"against the prompt of pirate, the vector of counsel wins from dose 0\.\d+ on", evidence.fact
    )


@pytest.mark.parametrize(("pull", "dose"), [(0.6, 1 / 1.2), (2.0, 0.25)])
def test_one_that_wins_late_or_early_fails(pull: float, dose: float):
    evidence = judged(a_case(wins_at=(0.3, 0.6)), pull)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.criteria[0].estimate.value == pytest.approx(dose, rel=0.12)


def test_one_that_never_wins_fails_and_has_no_upper_end():
    evidence = judged(a_case(), pull=0.2)
    assert evidence.verdict is Verdict.FAIL
    estimate = evidence.criteria[0].estimate
    assert (estimate.value, estimate.high) == (1.0, inf)
    assert evidence.criteria[0].p < 0.025
    assert re.fullmatch(
        r"against the prompt of pirate, the vector of counsel does not win up to dose 1, where it is "
        r"\d+% of the way",
        evidence.fact,
    )
    assert evidence.notes == ("the vector wins at no site up to dose 1",)


def test_prompts_that_do_the_same_decide_nothing():
    evidence = judged(a_case(), alike=True)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.criteria[0].unreliable.startswith("the two prompts do not lie apart")
    assert evidence.fact is None


def test_the_curve_has_the_dose_where_there_is_one():
    evidence = judged(a_case())
    doses = evidence.curve.series["dose that wins"].values
    assert doses[0] is None
    assert doses[1:] == pytest.approx([0.5] * 3, abs=0.1)
    assert evidence.curve.judged == ("resid_post.1", "resid_post.1")
    assert evidence.notes[0].endswith("; it wins at 3 of 4 sites")
    (positions,) = evidence.tables
    assert [row[0] for row in positions.cells] == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.1)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"of": ("pirate", "pirate")}, "'pirate' is paired with itself"),
        ({"doses": (0.5, 1.0)}, "do not rise from 0 over at least two more"),
        ({"doses": (0.0, 1.0, 0.5)}, "do not rise from 0 over at least two more"),
        ({"wins_at": (0.8, 0.3)}, "does not rise within 0 to the largest dose, 1"),
        ({"wins_at": (0.3, 1.0)}, "beyond that nothing is known"),
        ({"personas": ("pirate",)}, "personas"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(fields: dict[str, Any], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        conflict(**fields)


def test_a_vector_that_is_missing_is_named():
    with pytest.raises(SuiteError, match="vector 'counsel' is not in the release"):
        conflict().cases(worlds.scene(NAMES, vectors=("pirate",)))


def test_few_probes_are_refused():
    with pytest.raises(SuiteError, match="conflict needs at least 8 probes; the suite has 7"):
        conflict().cases(worlds.scene(NAMES, asked=worlds.probes(7)))
