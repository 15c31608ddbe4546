"""Made-up personas and roles: what was planted is the truth, and estimates are near it."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_space import PERSONAS, PULLED, ROLES, WIDTH, Planted, covered, estimates, stirred

CLUSTERS = [f"t{number}" for number in range(64)]


def test_what_was_planted_is_the_truth():
    still = np.zeros((2, ROLES + 1 + PERSONAS, len(CLUSTERS), WIDTH))
    truth = dict(estimates(Planted(0), still, CLUSTERS))
    for pulled in PULLED:
        assert truth[f"distinct: spread, pulled by {pulled:.0%}"].value == pytest.approx(1 - pulled)
    assert truth["distinct: effective rank, two merged"].value < 0.9


def test_estimates_of_many_questions_are_near_the_truths():
    planted, random = Planted(0), np.random.default_rng(0)
    still = np.zeros((2, ROLES + 1 + PERSONAS, len(CLUSTERS), WIDTH))
    truth = dict(estimates(planted, still, CLUSTERS))
    for name, one in estimates(planted, stirred(len(CLUSTERS), 1, random), CLUSTERS):
        assert one.value == pytest.approx(truth[name].value, abs=0.15)


def test_every_cell_is_drawn_as_often_as_is_asked_for():
    found = covered(1, 0)
    assert len({(one.estimate, one.probes, one.n) for one in found}) == len(found) == 77
