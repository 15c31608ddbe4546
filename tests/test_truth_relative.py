"""Made-up texts: the truth is what new questions come to, and estimates are near it."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_relative import MOVED, Reader, covered, estimate, fitted, truth


def test_the_estimate_of_many_questions_is_near_the_truth():
    random = np.random.default_rng(0)
    reader, clusters = Reader.drawn(random), [f"t{number}" for number in range(256)]
    residuals, new = reader.read(256, 1, random), reader.read(400, 1, random)
    classifier = fitted(residuals, clusters)
    one, true = estimate(residuals, clusters), truth(classifier, new)
    assert one.value == pytest.approx(true, abs=0.1)
    assert true == pytest.approx(MOVED, abs=0.15)


def test_every_cell_is_drawn_as_often_as_is_asked_for():
    found = covered(2, 0)
    assert len({(one.estimate, one.probes, one.n) for one in found}) == len(found) == 8
    assert {one.row.replications for one in found} == {2}
