"""Made-up replies: what is planted is what is drawn, and the truths are those of many."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

from truth_rates import Replies, by_chance, estimates

MANY = (4,) * 20_000


@pytest.fixture(scope="module")
def drawn():
    return Replies(0.9, 0.6, alike=0.6).drawn(MANY, np.random.default_rng(0))


def test_hits_are_as_frequent_as_planted(drawn):
    assert (drawn > 0).mean(0) == pytest.approx([0.9, 0.6, 0.05], abs=0.01)


def test_probes_of_a_template_are_as_alike_as_planted(drawn):
    for side in (drawn > 0).T:
        first, second = side.reshape(-1, 4)[:, :2].T
        assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.6, abs=0.03)


def test_the_truths_are_what_many_probes_come_to(drawn):
    truths, sample = Replies(0.9, 0.6, alike=0.6).truths, drawn[:1200]
    found = {name: one.value for name, one in estimates(sample, [f"t{row}" for row in range(len(sample))])}
    assert found == pytest.approx(truths, abs=0.1)


def test_probes_by_themselves_are_independent():
    alone = Replies(0.5, 0.5).drawn(MANY, np.random.default_rng(0))[:, 0] > 0
    first, second = alone.reshape(-1, 4)[:, :2].T
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0, abs=0.02)


def test_independent_regimes_are_hardly_ever_said_to_agree():
    for line in by_chance(40, 0):
        assert line["passed"] <= 0.025
        assert line["judged"] >= line["passed"]
