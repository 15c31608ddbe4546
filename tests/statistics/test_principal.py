from math import isinf, isnan

import numpy as np
import pytest

from coherence.statistics.mean_gram import MeanGram, centred
from coherence.statistics.principal import Principal, random_subspaces

WIDTH, PROBES, MEMBERS = 80, 24, 12
CLUSTERS = [f"q{i}" for i in range(PROBES)]
VARIANCES = np.array([4.0, 2.0, 1.0, 0.5])


def planted(seed=0, noise=0.5, others=0):
    """Members with these variances along four axes, less their mean; then `others` directions outside."""
    drawn = np.random.default_rng(seed)
    axes = np.linalg.qr(drawn.normal(size=(WIDTH, 4 + others)))[0].T
    scores = np.linalg.qr(centred(MEMBERS) @ np.random.default_rng(7).normal(size=(MEMBERS, 4)))[0]
    means = np.vstack([(scores * np.sqrt(VARIANCES)) @ axes[:4], axes[4:]])
    probes = means[:, None, None] + noise * drawn.normal(size=(len(means), 1, PROBES, WIDTH)) / np.sqrt(WIDTH)
    weights = np.hstack([centred(MEMBERS), np.zeros((MEMBERS, others))])
    return Principal(MeanGram.of(probes, CLUSTERS), weights), means


def test_it_finds_the_planted_variances():
    space, _ = planted()
    np.testing.assert_allclose(space.variances[0, :4], VARIANCES, rtol=0.05)
    np.testing.assert_allclose(space.variances[0, 4:], 0, atol=0.05)
    np.testing.assert_allclose(space.explained()[:4], np.cumsum(VARIANCES) / VARIANCES.sum(), atol=0.02)
    assert space.told() == 4


def test_how_many_explain_a_share_is_read_between_whole_numbers():
    space, _ = planted()
    number = space.components(0.7)
    # Of 7.5, one explains 4 and two 6: 5.25 lie at 1.625.
    assert number.low <= 1.625 <= number.high
    assert space.count(0.7) == 2


def test_the_number_of_components_is_within_its_interval_as_often_as_it_says():
    numbers = [planted(seed, noise=1.0)[0].components() for seed in range(200)]
    assert np.mean([one.low <= 1.625 <= one.high for one in numbers]) == pytest.approx(0.95, abs=0.035)


def test_two_clusters_give_components_without_intervals():
    drawn = np.random.default_rng(0).normal(size=(MEMBERS, 1, 4, WIDTH))
    space = Principal(MeanGram.of(drawn, ["a", "a", "b", "b"]), centred(MEMBERS))
    assert isinf(space.components().high)
    assert space.told() == 0


def test_nothing_but_noise_has_no_components():
    noise = np.random.default_rng(0).normal(size=(MEMBERS, 1, PROBES, WIDTH))
    space = Principal(MeanGram.of(noise, CLUSTERS), centred(MEMBERS))
    assert space.told() == 0
    assert Principal(MeanGram.of(0 * noise, CLUSTERS), centred(MEMBERS)).count() == 0


def test_the_first_component_has_the_cosine_of_whatever_lies_along_it():
    space, means = planted(others=1)
    along = space.basis(1)[0]
    first = space.first(along)
    assert first.low <= 1 <= first.high
    outside = np.eye(len(means))[-1]
    assert abs(space.first(outside).value) < 0.2


def test_directions_are_contained_as_far_as_they_are_planted():
    space, means = planted(others=1)
    inside, outside = space.basis(2)[1], np.eye(len(means))[-1]
    share = space.contained(np.stack([0.6 * inside + 0.8 * outside]), 2)
    assert share.low <= 0.36 <= share.high
    assert share.high - share.low < 0.15


def test_the_share_is_within_its_interval_as_often_as_it_says():
    covered = []
    for seed in range(200):
        space, means = planted(seed, noise=0.8, others=1)
        # Of the first two axes, by the members' own scores, and of one beyond them.
        scores = means[:MEMBERS] @ np.linalg.pinv(means[:MEMBERS])
        weights = np.append(scores[0], 1.0)[None]
        mean = (weights @ means)[0]
        axes = np.linalg.svd(means[:MEMBERS])[2][:2]
        truth = np.square(axes @ mean).sum() / np.square(mean).sum()
        share = space.contained(weights, 2)
        covered.append(share.low <= truth <= share.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.035)


def test_a_space_has_no_angles_with_itself_and_right_ones_with_another():
    space, means = planted(others=2)
    np.testing.assert_allclose(space.angles(space, 3), 1, atol=1e-9)
    weights = np.zeros((2, len(means)))
    weights[:, -2:] = centred(2)
    np.testing.assert_allclose(space.angles(Principal(space.gram, weights), 1), 0, atol=0.2)


def test_random_subspaces_hold_as_much_as_they_have_dimensions():
    drawn = np.random.default_rng(0)
    directions, activations = drawn.normal(size=(200, WIDTH)), drawn.normal(size=(400, WIDTH))
    assert random_subspaces(directions, activations, 20, seed=0) == pytest.approx(0.25, abs=0.04)
    assert isnan(random_subspaces(0 * directions, activations, 20, seed=0))
