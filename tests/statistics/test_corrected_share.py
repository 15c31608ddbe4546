"""Shares that a judge errs in, and what is made of them."""

import numpy as np
import pytest

from coherence.statistics.agreement import mean_share, paired_difference
from coherence.statistics.corrected_share import corrected_difference, corrected_share
from coherence.statistics.intervals import Interval


def exactly(value: float) -> Interval:
    return Interval(value, value, value)


def mean_of(hits: int, n: int) -> Interval:
    return mean_share(np.arange(n) < hits, [str(one) for one in range(n)])


def test_an_exact_judge_changes_nothing():
    observed = mean_of(18, 24)
    interval = corrected_share(observed, exactly(1.0), exactly(0.0))
    assert interval.value == observed.value == 0.75
    assert (interval.low, interval.high) == pytest.approx((observed.low, observed.high), abs=1e-6)


def test_known_errors_are_taken_out():
    # Sensitivity 0.8 and specificity 0.9: of 0.5 true, 0.45 are said to be (Rogan and Gladen 1978).
    assert corrected_share(exactly(0.45), exactly(0.8), exactly(0.1)).value == pytest.approx(0.5)
    assert corrected_difference(exactly(0.35), exactly(0.8), exactly(0.1)).value == pytest.approx(0.5)


def test_errors_of_the_labels_widen_it():
    observed = mean_of(12, 24)
    few, many = (corrected_share(observed, mean_of(9 * k, 10 * k), mean_of(k, 10 * k)) for k in (1, 10))
    assert few.low < many.low < many.value < many.high < few.high


@pytest.mark.parametrize(("correct", "least"), [(corrected_share, 0.0), (corrected_difference, -1.0)])
def test_a_judge_that_guesses_tells_nothing(correct, least):
    for met in (5, 6):
        interval = correct(mean_of(13, 24).above(least / -2), mean_of(met, 10), mean_of(5, 10))
        assert (interval.low, interval.high) == (least, 1.0)


def test_what_is_observed_beyond_the_labelled_ones_lies_there_and_is_not_certain():
    beyond, there = (corrected_share(mean_of(n, 24), mean_of(18, 24), mean_of(0, 24)) for n in (24, 18))
    assert beyond.value == there.value == 1
    assert 0.5 < there.low < beyond.low < 1


def test_doubt_goes_on_where_the_interval_ends():
    interval = corrected_share(mean_of(14, 24), mean_of(45, 50), mean_of(3, 50))
    assert 0 < interval.low < interval.value < interval.high < 1
    assert interval.doubt(interval.low) == pytest.approx(0.025, abs=1e-6)
    assert interval.doubt(interval.high) == pytest.approx(0.025, abs=1e-6)
    assert interval.doubt(0.1) < 0.001 < interval.doubt(interval.low + 0.01)


def test_a_difference_is_corrected_for_both_sides_at_once():
    random = np.random.default_rng(0)
    first, second = (random.random(40) < rate for rate in (0.2, 0.8))
    apart = paired_difference(first, second, [str(one) for one in range(40)])
    interval = corrected_difference(apart, mean_of(90, 100), mean_of(10, 100))
    assert interval.value == pytest.approx(apart.value / 0.8)
    assert interval.low < apart.value < interval.high
