"""Made-up vectors and adapters: estimates of many questions are near what was planted."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_steering import TRUTHS, Sample, covered


def test_estimates_of_many_questions_are_near_what_was_planted() -> None:
    near = dict(Sample(256, 1, np.random.default_rng(0)).estimates())
    assert near.keys() == TRUTHS.keys()
    for name, one in near.items():
        assert one.value == pytest.approx(TRUTHS[name], abs=0.06), name


def test_every_cell_is_drawn_as_often_as_is_asked_for() -> None:
    cells = covered(2, 0)
    assert len({(one.estimate, one.probes, one.n) for one in cells}) == len(cells) == 8 * len(TRUTHS)
    assert {one.row.replications for one in cells} <= {1, 2}
