from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from coherence.statistics.intervals import TAIL, Interval, wilson
from coherence.statistics.jackknife import mean


def test_an_interval_of_unknown_width_doubts_nothing():
    found = Interval(0.5, -inf, inf)
    assert found.doubt(-3) == found.doubt(3) == 1


def test_how_far_it_is_above_an_amount_is_the_same_interval_moved():
    found = wilson(7, 24)
    moved = found.above(0.1)
    assert (moved.value, moved.low, moved.high) == (found.value - 0.1, found.low - 0.1, found.high - 0.1)
    assert moved.doubt(0.2) == found.doubt(0.2 + 0.1)


def test_the_other_sign_is_the_same_interval_mirrored():
    found = mean(np.array([1.0, 2.0, 4.0]), ["a", "b", "c"])
    mirrored = mean(np.array([-1.0, -2.0, -4.0]), ["a", "b", "c"])
    assert [(-found).value, (-found).low, (-found).high] == pytest.approx(
        [mirrored.value, mirrored.low, mirrored.high]
    )
    assert (-found).doubt(-1.5) == pytest.approx(mirrored.doubt(-1.5))
    assert (-found).influence == mirrored.influence
    assert -wilson(7, 24).above(0) == -wilson(7, 24)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(n))))
def test_wilson_contains_the_rate_and_has_width(counts):
    found = wilson(*counts)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low


def test_wilson_agrees_with_scipy():
    found, theirs = wilson(7, 24), binomtest(7, 24).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_doubts_its_ends_by_one_tail(counts):
    found = wilson(*counts)
    ends = [end for end in (found.low, found.high) if 1e-9 < end < 1 - 1e-9]
    assert [found.doubt(end) for end in ends] == pytest.approx([TAIL] * len(ends), rel=1e-6)


def test_wilson_doubts_without_a_floor():
    assert 0 < wilson(60, 64).doubt(0.2) < 1e-30


def test_no_probe_says_nothing_about_a_rate():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0, 1)
    assert np.isnan(wilson(0, 0).value)
