import numpy as np
import pytest

from coherence.statistics.geometry import cosine, split_half_reliability
from coherence.statistics.intervals import bootstrap, uniform
from coherence.statistics.products import Products, corrected, plain

SINGLES = [f"q{i}" for i in range(24)]
TEMPLATES = [f"t{i // 3}" for i in range(24)]


def two_sides(cos, noise, shared=0.0, seed=0, width=64):
    """Per-probe vectors of two sides whose true directions have length 1 and the given cosine."""
    drawn = np.random.default_rng(seed)
    axis, side = np.linalg.qr(drawn.normal(size=(width, 2)))[0].T
    common, one, two = drawn.normal(size=(3, 24, width)) / np.sqrt(width)
    return (
        axis + noise * one + shared * common,
        cos * axis + np.sqrt(1 - cos**2) * side + noise * two + shared * common,
    )


def products(first, second, clusters):
    sides = ((first, second), (first, first), (second, second))
    return tuple(Products.of(one, other, clusters) for one, other in sides)


@pytest.mark.parametrize("clusters", [SINGLES, TEMPLATES])
def test_the_plain_cosine_is_that_of_the_means(clusters):
    first, second = two_sides(0.5, noise=2)
    found = plain(*products(first, second, clusters), uniform(24))
    assert found == pytest.approx([cosine(first.mean(0), second.mean(0))])


def test_the_corrected_cosine_is_the_plain_one_divided_by_its_ceiling():
    first, second = two_sides(0.8, noise=1)
    ceiling = np.sqrt(split_half_reliability(first, 0) * split_half_reliability(second, 0))
    found = corrected(*products(first, second, SINGLES), uniform(24))
    assert found == pytest.approx([cosine(first.mean(0), second.mean(0)) / ceiling], abs=0.02)


def test_noise_that_both_sides_share_does_not_count_as_agreement():
    found = [
        corrected(*products(*two_sides(0.2, noise=1, shared=3, seed=seed), SINGLES), uniform(24))[0]
        for seed in range(20)
    ]
    assert np.mean(found) == pytest.approx(0.2, abs=0.08)


def test_a_resample_that_draws_probes_twice_is_not_biased():
    sides = products(*two_sides(0.8, noise=4), SINGLES)
    weights = np.random.default_rng(0).multinomial(24, np.full(24, 1 / 24), size=2000) / 24
    assert np.mean(plain(*sides, weights)) == pytest.approx(plain(*sides, uniform(24))[0], abs=0.03)


def test_the_true_cosine_is_covered_about_as_often_as_promised():
    covered = 0
    for seed in range(60):
        sides = products(*two_sides(0.8, noise=2, seed=seed), SINGLES)
        found = bootstrap(
            lambda weights, sides=sides: corrected(*sides, weights), SINGLES, seed, resamples=300
        )
        covered += found.low <= 0.8 <= found.high
    assert covered >= 53


def test_a_resample_of_a_single_cluster_has_no_value():
    sides = products(*two_sides(0.8, noise=1), TEMPLATES)
    alone = np.array([[1 / 3] * 3 + [0] * 21])
    assert np.isnan(corrected(*sides, alone)).all()
    assert np.isnan(plain(*sides, alone)).all()


def test_a_direction_that_is_not_there_has_no_cosine():
    first, _ = two_sides(0.8, noise=1)
    assert np.isnan(plain(*products(first, np.zeros_like(first), SINGLES), uniform(24)))
