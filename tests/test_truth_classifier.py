"""Made-up residuals: the truth is what new questions come to, and estimates are near it."""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_classifier import Space, covered, estimates, truths

from coherence.statistics.linear_classifier import CrossFitted


def test_estimates_of_many_questions_are_near_the_truths():
    random = np.random.default_rng(0)
    space = Space.drawn(random)
    sides, new = space.sides(128, 1, random), space.sides(400, 1, random)
    clusters = [f"t{number}" for number in range(128)]
    fitted = CrossFitted(sides[0][0], sides[0][1:], clusters)
    found, truth = dict(estimates(fitted, sides, clusters)), truths(fitted, new)
    assert found.keys() == truth.keys()
    for name, one in found.items():
        assert abs(one.value - truth[name]) < 0.06
    assert truth["accuracy by prompt"] - truth["accuracy in the regime"] == truth["gap"] > 0.1


def test_every_cell_is_drawn_as_often_as_is_asked_for():
    found = covered(2, 0)
    assert len({(one.estimate, one.probes, one.n) for one in found}) == len(found) == 48
    assert {one.row.replications for one in found} == {2}
