import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.statistics.deviation import relative_deviation


def residuals(readings=5, depths=3, width=4, seed=0):
    return np.random.default_rng(seed).normal(size=(readings, depths, width)).astype(np.float32)


def test_the_same_does_not_deviate():
    assert not relative_deviation(residuals(), residuals()).any()


@given(scale=st.floats(1e-3, 1e3))
def test_the_unit_does_not_matter(scale):
    first, second = residuals(), residuals(seed=1)
    expected = relative_deviation(first, second)
    np.testing.assert_allclose(relative_deviation(first * scale, second * scale), expected, rtol=1e-5)


def test_each_depth_has_its_own_unit():
    first = np.full((3, 2, 1), [[2.0], [10.0]])
    second = first.copy()
    second[1, :, 0] += 1
    assert relative_deviation(first, second)[1] == pytest.approx([0.5, 0.1])
    assert relative_deviation(first, second)[0] == pytest.approx([0, 0])
