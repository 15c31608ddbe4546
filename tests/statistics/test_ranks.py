"""Spearman's rho against scipy's, and what its interval holds."""

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from coherence.statistics.ranks import spearman


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=30))
def test_it_is_scipys_with_ties(pairs):
    first, second = np.array(pairs, dtype=float).T
    found = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert isnan(found.value)
        assert (found.low, found.high) == (-1, 1)
    else:
        assert found.value == pytest.approx(stats.spearmanr(first, second).statistic)
        assert -1 <= found.low <= found.value <= found.high <= 1


def test_only_order_matters():
    drawn = np.random.default_rng(0).normal(size=(2, 24))
    assert spearman(np.exp(drawn[0]), drawn[1]) == spearman(drawn[0], drawn[1])
    assert spearman(-drawn[0], drawn[1]).value == pytest.approx(-spearman(*drawn).value)


def test_the_interval_leaves_out_0_about_as_often_as_it_should_where_nothing_is_there():
    drawn = np.random.default_rng(1).normal(size=(2000, 2, 24))
    out = [found.low > 0 or found.high < 0 for found in (spearman(*pair) for pair in drawn)]
    assert 0.03 < np.mean(out) < 0.07


def test_three_probes_say_nothing():
    found = spearman(np.arange(3.0), np.arange(3.0))
    assert isnan(found.value)
    assert -inf < found.low < 0 < found.high
