import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coherence.statistics.heavy_tail import heaviest, unseen_share, with_unseen

SINGLES = list("abcdefgh")


@given(arrays(np.float64, 8, elements=st.floats(0, 1e3)))
def test_the_unseen_cluster_mirrors_the_median_in_the_highest(values):
    more, clusters = with_unseen(values, SINGLES)
    assert len(more) == len(clusters) == 9
    assert more[:8].tolist() == values.tolist()
    assert more[8] - values.max() == pytest.approx(values.max() - np.median(values))


def test_the_unseen_cluster_is_as_large_as_the_others():
    values, names = np.repeat([1.0, 2, 3, 10], 4), np.repeat(list("abcd"), 4).tolist()
    more, clusters = with_unseen(values, names)
    assert more[16:].tolist() == [17.5] * 4
    assert len(set(clusters[16:])) == 1
    assert clusters[16] not in names


def test_what_makes_most_of_a_mean_is_named():
    assert heaviest(np.array([0.1] * 7 + [1.0]), SINGLES) == ("h", pytest.approx(1 / 1.7))
    assert heaviest(np.arange(1.0, 9), SINGLES) is None
    assert heaviest(np.zeros(8), SINGLES) is None


def test_of_a_few_clusters_each_may_make_much():
    assert heaviest(np.array([1.0, 1, 1.2]), list("abc")) is None
    assert heaviest(np.array([0.1, 0.1, 1]), list("abc")) == ("c", pytest.approx(1 / 1.2))


def test_shares_of_a_cluster_add_up():
    assert heaviest(np.array([1.0, 1, 1, 1, 0, 0, 0, 0]), list("aaaabcde")) == ("a", 1.0)


@given(st.integers(1, 1000))
def test_a_larger_share_would_have_been_seen(clusters):
    assert (1 - unseen_share(clusters)) ** clusters == pytest.approx(0.025)
