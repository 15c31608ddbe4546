import numpy as np
import pytest

from coherence.statistics.products import Products

CLUSTERS = ["a", "a", "b", "c"]


def test_pairs_of_one_cluster_are_left_out():
    first, second = np.random.default_rng(0).normal(size=(2, 4, 8))
    found = Products.of(first, second, CLUSTERS).across(np.full((1, 4), 1 / 4))
    pairs = [(i, j) for i in range(4) for j in range(4) if CLUSTERS[i] != CLUSTERS[j]]
    assert found == pytest.approx([np.mean([first[i] @ second[j] for i, j in pairs])])


def test_probes_without_weight_are_not_there():
    first, second = np.random.default_rng(0).normal(size=(2, 4, 8))
    found = Products.of(first, second, CLUSTERS).across(np.array([[0, 0, 0.5, 0.5]]))
    assert found == pytest.approx([(first[2] @ second[3] + first[3] @ second[2]) / 2])


def test_a_single_cluster_has_no_pairs():
    first = np.ones((4, 8))
    assert np.isnan(Products.of(first, first, CLUSTERS).across(np.array([[0.5, 0.5, 0, 0]]))).all()
