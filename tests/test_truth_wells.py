"""A planted double well is recovered: what is estimated of a mixture is what was planted."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from truth_wells import Wells, deepest  # noqa: E402

FINE = tuple(np.linspace(0, 1, 21).tolist())


def potential(x, depth, tilt):
    return x**4 / 4 - depth * x**2 / 2 - tilt * x


@given(st.floats(-1, 1.5), st.floats(-2, 2).filter(lambda tilt: abs(tilt) > 1e-3))
def test_no_point_is_deeper(depth, tilt):
    found = float(deepest(depth, np.array(tilt)))
    everywhere = np.linspace(-3, 3, 2001)
    assert potential(found, depth, tilt) <= potential(everywhere, depth, tilt).min() + 1e-6


@settings(max_examples=15, deadline=None)
@given(st.floats(0.3, 0.7), st.floats(0, 1))
def test_without_noise_the_model_tips_where_it_was_planted(tips, depth):
    wells = Wells(depth, tips, own=0.0, noise=0.0, at=FINE)
    found = wells.drawn(8, np.random.default_rng(0)).tipping.value
    assert found == pytest.approx(wells.planted, abs=0.03)
    assert wells.truths["tipping"] == pytest.approx(wells.planted, abs=0.03)


def test_two_wells_switch_and_one_slides():
    steep = {depth: Wells(depth, own=0.05).drawn(64, np.random.default_rng(0)).steepness for depth in (-1, 1)}
    assert steep[1].low > max(0, steep[-1].high)


@pytest.mark.parametrize("depth", [-1.0, 1.0])
@pytest.mark.parametrize("estimate", ["tipping", "area", "smallest_step", "steepness"])
def test_what_was_planted_is_covered_about_as_often_as_promised(depth, estimate):
    wells = Wells(depth)
    found = [getattr(wells.drawn(24, np.random.default_rng(seed)), estimate) for seed in range(100)]
    # 90 of 100 is what 95 % fall short of once in about 35 times; the seeds are fixed.
    assert sum(one.low <= wells.truths[estimate] <= one.high for one in found) >= 90
