from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from coherence.statistics.curvature import bent, straightened

curvatures = st.floats(-1, 1)


@given(st.floats(-100, 100), curvatures)
def test_bent_is_the_inverse(t, curvature):
    assert straightened(bent(t, curvature), curvature) == pytest.approx(t, abs=1e-6)


@given(st.floats(-100, 100), st.floats(1e-3, 10), curvatures)
def test_order_is_kept_at_a_bounded_speed(t, further, curvature):
    speed = (straightened(t + further, curvature) - straightened(t, curvature)) / further
    assert 0.5 - 1e-6 <= speed <= 1.5 + 1e-6


@given(st.floats(-3, 3))
def test_near_0_it_is_the_expansion(t):
    assert straightened(t, 0.01) == pytest.approx(t + 0.01 * (t**2 + 1) / 2, abs=1e-3)


@given(st.floats(-1e6, 1e6) | st.sampled_from([-inf, inf]))
def test_what_is_not_curved_stays(t):
    assert straightened(t, 0.0) == bent(t, 0.0) == t


def test_what_is_curved_becomes_normal():
    # X + c X^2, X normal with variance 1 / n, is studentised by 1 + 2 c X; its curvature is 2 c / sqrt(n).
    n, c = 100, 0.5
    z = np.random.default_rng(0).normal(size=200_000)
    x = z / np.sqrt(n)
    t = np.sqrt(n) * (x + c * x**2 - c / n) / (1 + 2 * c * x)
    curvature = np.full_like(t, 2 * c / np.sqrt(n))
    for tail in (norm.cdf(t), norm.sf(t)):
        assert abs(np.mean(tail < 0.025) - 0.025) > 0.003
    for tail in (norm.cdf(straightened(t, curvature)), norm.sf(straightened(t, curvature))):
        assert np.mean(tail < 0.025) == pytest.approx(0.025, abs=0.0015)
