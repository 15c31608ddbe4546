"""Made-up directions: estimates of many questions are near what was planted."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_anchors import Inversion, covered, estimates


def test_estimates_of_many_questions_are_near_what_was_planted() -> None:
    planted, clusters = Inversion(), [f"t{number}" for number in range(128)]
    near = dict(estimates(planted.drawn(128, 1, np.random.default_rng(0)), clusters))
    assert near.keys() == planted.truths.keys()
    for name, one in near.items():
        assert one.value == pytest.approx(planted.truths[name], abs=0.08)


def test_every_cell_is_drawn_as_often_as_is_asked_for() -> None:
    cells = covered(2, 0)
    assert len({(one.estimate, one.probes, one.n) for one in cells}) == len(cells) == 32
    assert {one.row.replications for one in cells} <= {1, 2}
