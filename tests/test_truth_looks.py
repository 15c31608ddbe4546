"""The bench of interim looks draws what it says, and its rows say what the looks decide."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from truth_looks import DISTANCES, LOOKS, SAMPLES, SIZES, looked_at


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_the_truth_and_the_spread_are_those_of_many(sample):
    drawn = sample.drawn(np.random.default_rng(0), 400_000)
    each = drawn[:, -1] - (drawn[:, 0] if drawn.shape[1] == 2 else 0)
    assert each.mean() == pytest.approx(sample.truth, abs=0.02)
    assert each.std() == pytest.approx(sample.spread, rel=0.05)


def test_what_is_clear_passes_early_and_what_is_at_its_bound_goes_on():
    rows = {(row.sample, row.n, row.looks, row.bound): row for row in looked_at(replications=20, seed=0)}
    assert len(rows) == len(SAMPLES) * len(SIZES) * len(LOOKS) * len(DISTANCES)
    normal = SAMPLES[0].name
    clear, bound = (rows[normal, 24, "a third, two thirds", name] for name in ("clear", "at the truth"))
    assert (clear.passes, bound.passes) == (1.0, pytest.approx(0.0, abs=0.15))
    assert clear.probes < 12 < 22 < bound.probes
    assert rows[normal, 24, "none", "clear"].probes == 24
    assert all(row.passes <= row.each for row in rows.values())
