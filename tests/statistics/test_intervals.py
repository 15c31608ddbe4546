import warnings
from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coherence.statistics.intervals import bootstrap, uniform, wilson

samples = arrays(np.float64, st.integers(2, 12), elements=st.floats(-1e3, 1e3))


def singles(n):
    return [f"q{i}" for i in range(n)]


def mean_of(values):
    return lambda weights: weights @ values


@given(samples, st.integers(0, 5))
def test_the_interval_contains_the_estimate_and_warns_of_nothing(values, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bootstrap(mean_of(values), singles(len(values)), seed, resamples=200)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(values.mean())


def test_weights_are_probabilities_and_clusters_move_as_one():
    seen = []

    def statistic(weights):
        seen.append(weights)
        return weights[:, 0]

    bootstrap(statistic, ["a", "b", "a", "c", "c"], seed=0)
    weights = np.concatenate(seen)
    assert (weights >= 0).all()
    assert weights.sum(1) == pytest.approx(1)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 3], weights[:, 4])


def test_a_constant_statistic_has_no_width():
    found = bootstrap(lambda weights: np.ones(len(weights)), singles(8), seed=0)
    assert (found.low, found.value, found.high) == (1, 1, 1)


def test_a_minority_without_a_value_does_not_poison():
    values = np.random.default_rng(0).normal(size=24)
    found = bootstrap(
        lambda weights: np.where(weights[:, 0] > 3 / 24, np.nan, weights @ values), singles(24), seed=0
    )
    whole = bootstrap(mean_of(values), singles(24), seed=0)
    assert found.low == pytest.approx(whole.low, abs=0.1)
    assert found.high == pytest.approx(whole.high, abs=0.1)


def test_where_most_resamples_have_no_value_nothing_is_known():
    found = bootstrap(lambda w: np.where(w.max(1) > 0.2, np.nan, w[:, 0]), singles(8), seed=0)
    assert (found.value, found.low, found.high) == (1 / 8, -inf, inf)


def test_an_undefined_estimate_or_a_single_cluster_knows_nothing():
    undefined = bootstrap(lambda weights: np.full(len(weights), np.nan), singles(8), seed=0)
    assert isnan(undefined.value)
    assert (undefined.low, undefined.high) == (-inf, inf)
    alone = bootstrap(mean_of(np.arange(8.0)), ["t"] * 8, seed=0)
    assert (alone.value, alone.low, alone.high) == (3.5, -inf, inf)


def test_all_resamples_below_the_estimate_fall_back_to_the_percentiles():
    found = bootstrap(lambda weights: -(weights**2).sum(1), singles(24), seed=0)
    assert found.high == found.value == pytest.approx(-1 / 24)
    assert found.low == pytest.approx(-0.1, abs=0.03)


def test_the_seed_decides():
    values = np.random.default_rng(0).normal(size=24)
    assert bootstrap(mean_of(values), singles(24), seed=1) == bootstrap(mean_of(values), singles(24), seed=1)
    assert bootstrap(mean_of(values), singles(24), seed=1) != bootstrap(mean_of(values), singles(24), seed=2)


def test_the_mean_is_covered_about_as_often_as_promised():
    drawn = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        found = bootstrap(mean_of(drawn.normal(size=24)), singles(24), seed=0, resamples=300)
        covered += found.low <= 0 <= found.high
    assert 87 <= covered <= 99


def test_clusters_that_repeat_themselves_widen_the_interval():
    values = np.repeat(np.random.default_rng(0).normal(size=6), 4)
    single = bootstrap(mean_of(values), singles(24), seed=0)
    clustered = bootstrap(mean_of(values), [f"t{i // 4}" for i in range(24)], seed=0)
    assert clustered.high - clustered.low > 1.5 * (single.high - single.low)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n))))
def test_wilson_contains_the_rate_and_has_width(counts):
    found = wilson(*counts)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low


def test_wilson_agrees_with_scipy():
    from scipy.stats import binomtest

    found, theirs = wilson(7, 24), binomtest(7, 24).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_no_probe_says_nothing_about_a_rate():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)


def test_uniform_weights_are_the_sample_itself():
    assert uniform(4) == pytest.approx(np.full((1, 4), 0.25))
