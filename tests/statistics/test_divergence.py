from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from scipy.stats import entropy

from coherence.statistics.divergence import Explained, Lean, divergence, jeffreys

CLUSTERS = ["a", "b", "c", "d"]

logits = st.lists(st.floats(-20, 20), min_size=4, max_size=4).map(lambda row: log_softmax(row))


@given(logits, logits)
def test_it_is_the_kullback_leibler_divergence(p, q):
    assert divergence(p, q) == pytest.approx(entropy(np.exp(p), np.exp(q)), abs=1e-9)


@given(logits)
def test_nothing_diverges_from_itself(p):
    assert divergence(p, p) == 0


def test_the_ratio_runs_from_all_explained_to_none():
    judged = log_softmax(np.eye(3)[[0, 1, 0, 1]] * [[3.0], [3.0], [2.0], [2.0]], -1)
    bare = log_softmax(np.zeros((4, 3)), -1)
    for by, expected in ((judged, 0), (bare, 1)):
        found = Explained.of(judged, by, bare).ratio(CLUSTERS)
        assert (found.value, found.low, found.high) == pytest.approx((expected, expected, expected))
    half = np.stack([judged[0], bare[1], judged[2], bare[3]])
    found = Explained.of(judged, half, bare).ratio(CLUSTERS)
    assert found.value == pytest.approx(0.5, abs=0.01)
    assert found.low < found.value < found.high


def test_without_any_distance_from_bare_the_ratio_is_undefined():
    bare = log_softmax(np.zeros((4, 3)), -1)
    found = Explained.of(bare, bare, bare).ratio(CLUSTERS)
    assert np.isnan(found.value)
    assert (found.low, found.high) == (-np.inf, np.inf)


@given(st.lists(logits, min_size=2, max_size=4))
def test_both_ways_are_the_mean_of_each_way(rows):
    found = jeffreys(np.array(rows)[:, None])[..., 0]
    for (i, p), (j, q) in product(enumerate(rows), repeat=2):
        assert found[i, j] == pytest.approx((divergence(p, q) + divergence(q, p)) / 2, abs=1e-6)
    assert np.array_equal(found, found.T)
    assert (found >= 0).all()


DISTANCES = np.array([1.0, 2.0, 3.0, 2.0])


@pytest.mark.parametrize(("first", "second", "value"), [(0, 1, -1), (1, 0, 1), (1, 1, 0), (1, 3, -0.5)])
def test_a_lean_runs_from_the_first_to_the_second(first, second, value):
    assert Lean(first * DISTANCES, second * DISTANCES).value == pytest.approx(value)


def test_a_lean_between_two_that_are_the_same_is_none():
    assert np.isnan(Lean(0 * DISTANCES, 0 * DISTANCES).value)


def test_leans_are_compared_probe_by_probe():
    drawn = np.random.default_rng(0)
    first, second, third = drawn.uniform(1, 2, size=(3, 24))
    one, other = Lean(first, second), Lean(first, third)
    clusters = [str(row) for row in range(24)]
    found = one.beyond(other, clusters)
    assert found.value == pytest.approx(one.value - other.value)
    assert found.low < found.value < found.high
    same = one.beyond(one, clusters)
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0), abs=1e-9)
