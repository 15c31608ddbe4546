import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from coherence.statistics import student

freedoms = st.floats(1, 200)


@given(t=st.floats(-30, 30), freedom=freedoms)
def test_it_is_the_distribution_of_t(t: float, freedom: float) -> None:
    assert student.below(t, freedom) == pytest.approx(stats.t.cdf(t, freedom), rel=1e-8, abs=1e-300)


@given(probability=st.floats(1e-6, 1 - 1e-6), freedom=freedoms)
def test_a_quantile_has_its_probability_below_it(probability: float, freedom: float) -> None:
    assert student.below(student.quantile(probability, freedom), freedom) == pytest.approx(probability)
