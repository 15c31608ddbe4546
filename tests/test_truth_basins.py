"""Planted basins are recovered: their border lies inside its interval as often as promised."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from truth_basins import NOISY, QUIET, Basins  # noqa: E402


@settings(max_examples=15, deadline=None)
@given(st.floats(0.25, 0.75))
def test_without_noise_the_border_is_where_it_was_planted(border):
    basins = Basins(border, noise=0.0, spread=0.0, at=QUIET.at)
    (found,) = basins.drawn(8, np.random.default_rng(0)).borders()
    assert found.value == pytest.approx(border, abs=0.03)  # half of how far the starts are apart


@pytest.mark.parametrize("border", [0.35, 0.5, 0.65])
def test_a_planted_border_is_covered_about_as_often_as_promised(border):
    found = [QUIET.at_border(border).drawn(8, np.random.default_rng(seed)).border() for seed in range(100)]
    # 90 of 100 is what 95 % fall short of once in about 35 times; the seeds are fixed.
    assert sum(one.low <= border <= one.high for one in found) >= 90
    assert np.median([one.high - one.low for one in found]) < 0.1


@pytest.mark.parametrize("border", [0.35, 0.5, 0.65])
def test_under_noise_the_border_of_the_mean_map_is_covered(border):
    basins = NOISY.at_border(border)
    found = [basins.drawn(16, np.random.default_rng(seed)).border() for seed in range(100)]
    assert sum(one.low <= basins.truth <= one.high for one in found) >= 90


def test_the_truth_is_the_mean_of_many():
    basins = NOISY.at_border(0.5)
    many = basins.drawn(20000, np.random.default_rng(0))
    np.testing.assert_allclose(many.end.mean(axis=1), np.append(0.0, basins.ends), atol=0.02)


def test_one_well_has_no_border_that_is_told():
    for seed in range(50):
        border = NOISY.at_border(None).drawn(8, np.random.default_rng(seed)).border()
        assert not np.isfinite(border.high)
