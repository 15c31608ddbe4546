"""The steps of a case are all that it needs, and the first of them is less where there are several."""

from itertools import chain
from pathlib import Path

import pytest

from coherence.plan import Plan
from coherence.suite import Overrides, load_suite, suites_at

SUITES = Path(__file__).parents[2] / "suites"
SEVERAL = {
    *(
        "attractor",
        "chimera",
        "convergence",
        "distinct",
        "dose",
        "equivalence",
        "export",
        "factorial",
        "served",
    ),
}


@pytest.mark.parametrize("path", [*suites_at(SUITES)], ids=lambda path: path.stem)
def test_the_steps_are_what_is_needed(path):
    for assertion in load_suite(path, Overrides()).assertions:
        drawn = (cases[0] for cases in assertion.case.controls().values())
        for case in (assertion.case, *drawn):
            steps = [Plan(step) for step in case.steps()]
            assert {*chain.from_iterable(steps)} == {*Plan(case.needs())}
            assert len(steps) == 1 or len(steps[0]) < len(Plan(case.needs()))
            assert (len(steps) > 1) == (assertion.property.word() in SEVERAL)
