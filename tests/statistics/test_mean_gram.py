import numpy as np
import pytest

from coherence.statistics.jackknife import Jackknife
from coherence.statistics.mean_gram import MeanGram, centred
from coherence.statistics.products import Products

CLUSTERS = list("aabbbcddef")
MOVED = np.random.default_rng(0).normal(size=(3, 2, len(CLUSTERS), 7))


def test_it_is_what_products_of_two_sides_are():
    gram, weights = MeanGram.of(MOVED, CLUSTERS), Jackknife(CLUSTERS).weights
    for one in range(3):
        for other in range(3):
            plain = Products.of(MOVED[one], MOVED[other], CLUSTERS).across(weights)
            np.testing.assert_allclose(gram.products[:, :, one, other], plain)


def test_sums_of_conditions_may_be_taken_before_or_after():
    weights = np.array([[0.5, 0.5, 0], [1, 0, -1]])
    before = MeanGram.of(np.tensordot(weights, MOVED, 1), CLUSTERS)
    after = MeanGram.of(MOVED, CLUSTERS).among(weights)
    np.testing.assert_allclose(before.products, after.products)


def test_centred_conditions_have_the_sum_zero():
    np.testing.assert_allclose(centred(4).sum(1), 0, atol=1e-15)


def test_its_variance_is_that_of_samples():
    drawn = np.random.default_rng(1)
    truth, clusters = np.eye(3, 40)[:, None, None], [str(i) for i in range(24)]
    grams = [MeanGram.of(truth + 0.2 * drawn.normal(size=(3, 1, 24, 40)), clusters) for _ in range(400)]
    seen = np.var([gram.products[0, 0] for gram in grams], axis=0)
    told = np.mean([gram.variance()[0] for gram in grams], axis=0)
    np.testing.assert_allclose(told, seen, rtol=0.25)


def test_one_cluster_gives_nothing():
    assert np.isnan(MeanGram.of(MOVED, ["a"] * len(CLUSTERS)).products).all()


def test_noise_adds_nothing_to_a_length():
    noise = np.random.default_rng(2).normal(size=(1, 1, 200, 300))
    gram = MeanGram.of(noise, [str(i) for i in range(200)])
    assert gram.products[0, 0, 0, 0] == pytest.approx(0, abs=0.4)
    assert np.square(noise.mean(2)).sum() > 1
