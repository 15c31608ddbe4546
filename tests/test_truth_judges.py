"""Made-up judges: what is made of many scores is near the truths that are planted."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_judges import GAP, JUDGES, covered, estimates, met


@pytest.mark.parametrize("judge", JUDGES)
def test_corrected_shares_of_many_replies_are_near_the_truths_and_others_are_not(judge):
    random = np.random.default_rng(1)
    replies = met((0.8, 0.8 + GAP), 1, 4000, random)
    by_name = dict(estimates(judge, replies, [f"p{one}" for one in range(4000)], 2000, random))
    assert by_name["share"].value == pytest.approx(0.8, abs=0.05)
    assert by_name["gap"].value == pytest.approx(GAP, abs=0.05)
    assert abs(by_name["share uncorrected"].value - 0.8) > 0.06


def test_replies_of_a_template_are_more_alike_than_others():
    replies = met((0.5,), 4, 4000, np.random.default_rng(0))[0].reshape(-1, 4)
    assert np.corrcoef(replies[:, 0], replies[:, 1])[0, 1] == pytest.approx(0.25, abs=0.1)
    assert replies.mean() == pytest.approx(0.5, abs=0.05)


def test_every_cell_is_drawn_as_often_as_is_asked_for():
    rows = [one.row for one in covered(2, 0)]
    assert len({(one.estimate, one.probes, one.n) for one in rows}) == len(rows) == 108
    assert {one.replications for one in rows} == {2}
