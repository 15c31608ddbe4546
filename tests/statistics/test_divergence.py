import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from scipy.stats import entropy

from coherence.statistics.divergence import Explained, divergence

logits = st.lists(st.floats(-20, 20), min_size=4, max_size=4).map(lambda row: log_softmax(row))


@given(logits, logits)
def test_it_is_the_kullback_leibler_divergence(p, q):
    assert divergence(p, q) == pytest.approx(entropy(np.exp(p), np.exp(q)), abs=1e-9)


@given(logits)
def test_nothing_diverges_from_itself(p):
    assert divergence(p, p) == 0


def test_the_ratio_runs_from_all_explained_to_none():
    judged, bare = log_softmax([[3.0, 0, 0], [0, 3.0, 0]], -1), log_softmax([[0.0, 0, 0]] * 2, -1)
    drawn = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    assert Explained.of(judged, judged, bare).ratio(drawn) == pytest.approx([0, 0, 0])
    assert Explained.of(judged, bare, bare).ratio(drawn) == pytest.approx([1, 1, 1])
    one = np.stack([judged[0], bare[1]])
    assert Explained.of(judged, one, bare).ratio(drawn) == pytest.approx([0.5, 0, 1])


def test_without_any_distance_from_bare_the_ratio_is_undefined():
    bare = log_softmax([[0.0, 0, 0]], -1)
    assert np.isnan(Explained.of(bare, bare, bare).ratio(np.array([[1.0]]))).all()
