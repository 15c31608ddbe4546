"""Made-up gains: estimates of many replies are near the truths that are stated of them."""

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_voice import Reader, covered, estimates


def test_estimates_of_many_replies_are_near_the_truths():
    reader = Reader()
    told = dict(estimates(*reader.drawn(2000, 1, None, np.random.default_rng(1))))
    truths = reader.truths(None)
    assert told.keys() == truths.keys()
    for name, one in told.items():
        assert abs(one.value - truths[name]) < 0.04


def test_every_cell_is_drawn_as_often_as_is_asked_for():
    rows = [one.row for one in covered(2, 0)]
    assert len({(one.estimate, one.probes, one.n) for one in rows}) == len(rows) == 64
    assert {one.replications for one in rows} == {2}
