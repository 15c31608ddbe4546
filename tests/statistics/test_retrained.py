import numpy as np
import pytest

from coherence.statistics.linear_classifier import PENALTY, CrossFitted
from coherence.statistics.logistic_regression import LogisticRegression
from coherence.statistics.retrained import GROUPS, Retrained

WIDTH = 12
ALONG = np.eye(WIDTH)[0]


def residuals(probes, seed=0):
    """Of a class, of another, and of what lies between: [3, probes, width]."""
    drawn = np.random.default_rng(seed)
    topics = drawn.normal(size=(probes, WIDTH))
    ends = np.array([1.0, -1.0, 0.2])[:, None, None] * ALONG
    return topics + ends + 0.3 * drawn.normal(size=(3, probes, WIDTH))


def named(clusters, each=1):
    return [f"q{number // each}" for number in range(clusters * each)]


def test_those_of_the_sample_are_the_cross_fitted_ones():
    read = residuals(24)
    found = Retrained.of(read[0], read[1], read, named(24)).log_odds[0]
    expected = CrossFitted(read[0], read[1][None], named(24)).log_odds(read)
    # The other is fitted to some tolerance of its own.
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_those_without_a_cluster_are_trained_without_it():
    read, clusters = residuals(20), named(10, each=2)
    found = Retrained.of(read[0], read[1], read, clusters)
    left_out = sorted(set(clusters)).index("q3")
    # Of probes 0 and 1, and 16 and 17, whose clusters q0 and q8 are one fold of eight.
    kept = [place for place in range(20) if clusters[place] not in {"q0", "q8", "q3"}]
    rows = np.concatenate([read[0, kept], read[1, kept]])
    alone = LogisticRegression.fitted(rows, np.repeat([1, 0], len(kept)), PENALTY)
    unseen = [0, 1, 16, 17]
    np.testing.assert_allclose(
        found.log_odds[1 + left_out][:, unseen], alone.log_odds(read[:, unseen]), atol=0.02
    )


def test_means_leave_each_cluster_out():
    read, clusters = residuals(20), named(10, each=2)
    found = Retrained.of(read[0], read[1], read, clusters)
    left_out = sorted(set(clusters)).index("q3")
    others = [place for place in range(20) if clusters[place] != "q3"]
    expected = found.log_odds[1 + left_out][:, others].mean(-1)
    np.testing.assert_allclose(found.means[1 + left_out], expected)


def test_more_clusters_than_groups_are_left_out_in_groups():
    read = residuals(GROUPS + 8)
    found = Retrained.of(read[0], read[1], read, named(GROUPS + 8))
    assert found.log_odds.shape == (1 + GROUPS, 3, GROUPS + 8)
    assert found.jackknife.size == pytest.approx(40**2 / (8 * 4 + 24))


def test_nothing_is_known_of_two_clusters():
    read = residuals(8)
    means = Retrained.of(read[0], read[1], read, named(2, each=4)).means
    assert np.isnan(means[1:]).all()


def test_two_classes_that_are_the_same_are_not_told_apart():
    read = residuals(16)
    found = Retrained.of(read[0], read[0], read, named(16))
    np.testing.assert_allclose(found.log_odds, 0, atol=1e-6)
