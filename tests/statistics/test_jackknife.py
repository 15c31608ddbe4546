import warnings
from math import inf, isnan, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t, ttest_1samp

from coherence.statistics.intervals import TAIL
from coherence.statistics.jackknife import Jackknife, Pivot, either, smallest

samples = arrays(np.float64, st.integers(3, 12), elements=st.floats(-100, 100)).filter(
    lambda v: v.std() > 1e-3
)


def singles(n):
    return [f"q{i}" for i in range(n)]


def mean(values, clusters=None):
    """Pivot of a mean: a ratio whose denominator is 1 in every sample."""
    jackknife = Jackknife(clusters or singles(len(values)))
    above = (jackknife.weights @ values)[:, None]
    return jackknife.ratio(above, np.ones_like(above))


def ratio(above, below):
    jackknife = Jackknife(singles(len(above)))
    return jackknife.ratio(*((jackknife.weights @ side)[:, None] for side in (above, below)))


@given(samples, st.floats(-200, 200))
def test_of_a_mean_it_is_the_t_test(values, bound):
    found, theirs = mean(values), ttest_1samp(values, bound)
    assume(theirs.pvalue > 1e-12)
    assert found.doubt(bound) == pytest.approx(theirs.pvalue / 2, rel=1e-6)
    low, high = theirs.confidence_interval()
    assert found.limits() == pytest.approx((low, high), abs=1e-9, rel=1e-6)


pivots = st.builds(
    Pivot,
    value=st.floats(-3, 3),
    spread=st.floats(1e-4, 1),
    shared=st.just(0.0),
    below=st.floats(0, 0.5),
    freedom=st.integers(1, 60),
)


@given(pivots)
def test_the_ends_are_doubted_by_one_tail(pivot):
    low, high = pivot.limits()
    assert low <= pivot.value <= high
    for end in (low, high):
        if np.isfinite(end):
            assert pivot.doubt(end) == pytest.approx(TAIL, rel=1e-6)


@given(pivots, st.floats(0, 5), st.floats(0, 5))
def test_a_bound_further_away_is_never_less_doubtful(pivot, near, further):
    for side in (-1, 1):
        assert pivot.doubt(pivot.value + side * near) >= pivot.doubt(
            pivot.value + side * (near + further)
        ) * (1 - 1e-9)


def test_doubt_goes_on_far_beyond_what_resamples_could_tell():
    found = mean(np.random.default_rng(0).normal(size=64))
    assert 0 < found.doubt(3) < 1e-20


def test_fieller_agrees_with_the_textbook():
    drawn = np.random.default_rng(0)
    above, below = drawn.normal(2, 1, size=20), drawn.normal(4, 1, size=20)
    cov, n = np.cov(above, below) / 20, 20
    (a, b), q = (above.mean(), below.mean()), t.ppf(1 - TAIL, n - 1)
    roots = np.roots([b**2 - q**2 * cov[1, 1], -2 * (a * b - q**2 * cov[0, 1]), a**2 - q**2 * cov[0, 0]])
    assert ratio(above, below).limits() == pytest.approx(tuple(sorted(roots)))


def test_a_denominator_that_may_be_0_refuses_no_bound():
    found = ratio(np.arange(1.0, 9.0), np.array([3.0, -2, 1, -1, 2, -3, 1, 0]))
    assert found.limits() == (-inf, inf)
    assert found.doubt(1e9) > TAIL


def test_a_sum_of_ratios_is_tested_as_one():
    drawn = np.random.default_rng(0).normal(2, 1, size=(2, 3, 24))
    jackknife = Jackknife(singles(24))
    above, below = (jackknife.weights @ side.T for side in drawn)
    found = jackknife.ratio(above, below)
    each = (above / below).sum(1)
    direct = np.sqrt(23 / 24 * np.square(each[1:] - each[1:].mean()).sum())
    assert found.value == pytest.approx(each[0])
    assert sqrt(found.spread) == pytest.approx(direct, rel=0.1)


def test_clusters_that_repeat_themselves_count_once():
    values = np.random.default_rng(0).normal(size=6)
    repeated = mean(np.repeat(values, 4), [f"t{i // 4}" for i in range(24)])
    assert repeated.limits() == pytest.approx(mean(values).limits())


def test_the_size_of_unequal_clusters_is_less_than_their_number():
    assert Jackknife(["a"] * 9 + ["b", "c", "d"]).size < 2
    assert Jackknife(["a", "a", "b", "b"]).size == pytest.approx(2)
    assert Jackknife(singles(8), added=4).size == pytest.approx(12)


@pytest.mark.parametrize("clusters", [["t"] * 4, ["only"]])
def test_a_single_cluster_knows_nothing_and_warns_of_nothing(clusters):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mean(np.arange(len(clusters), dtype=float), clusters)
        assert found.limits() == (-inf, inf)
        assert found.doubt(100) == 1
    assert found.value == pytest.approx((len(clusters) - 1) / 2)


def test_what_is_undefined_without_some_cluster_keeps_its_value_only():
    jackknife = Jackknife(singles(4))
    above = np.array([2.0, 2, 2, 2, np.nan])[:, None]
    found = jackknife.ratio(above, np.ones_like(above))
    assert (found.value, *found.limits()) == (2, -inf, inf)
    assert isnan(jackknife.ratio(above, np.zeros_like(above)).value)


def test_a_constant_has_no_width():
    found = mean(np.ones(8))
    assert found.limits() == (1, 1)
    assert (found.doubt(1), found.doubt(0.9)) == (0.5, 0)


@given(st.lists(pivots, min_size=1, max_size=4), st.floats(-4, 4))
def test_the_smallest_is_bounded_by_all_of_them(several, bound):
    found = smallest(several)
    assert found.value == min(pivot.value for pivot in several)
    assert found.low <= found.value <= found.high
    assert found.low == min(pivot.limits()[0] for pivot in several)
    if np.isfinite(found.high):
        assert found.doubt(found.high) == pytest.approx(TAIL, rel=1e-6)
    assert 0 <= found.doubt(bound) <= 1


@given(pivots, pivots, st.floats(-4, 4))
def test_either_refuses_only_what_both_refuse(first, second, bound):
    found = either(first, second)
    assert found.low <= min(first.limits()[0], second.limits()[0]) <= found.value == first.value
    assert found.high >= max(first.limits()[1], second.limits()[1])
    assert found.doubt(bound) >= first.doubt(bound)
    for end in (found.low, found.high):
        if np.isfinite(end) and end != found.value:
            assert found.doubt(end) == pytest.approx(TAIL, rel=1e-6)


def test_the_smallest_of_one_is_itself():
    pivot = mean(np.random.default_rng(0).normal(size=12))
    assert smallest([pivot]) == pivot.interval


def test_the_smallest_with_one_unknown_is_unknown():
    found = smallest([mean(np.arange(4.0)), Pivot.unknown(np.nan)])
    assert isnan(found.value)
    assert (found.low, found.high, found.doubt(0)) == (-inf, inf, 1)
