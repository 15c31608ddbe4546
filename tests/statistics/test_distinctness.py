from math import isinf

import numpy as np
import pytest

from coherence.statistics.distinctness import Distinctness

WIDTH, PROBES, PERSONAS = 60, 24, 5
CLUSTERS = [f"q{i}" for i in range(PROBES)]


def a_set(second, noise=0.3, generic=3.0, seed=0, mix=None):
    """Five personas with axes of their own beside a common one; `second` makes those of the other regime."""
    drawn = np.random.default_rng(seed)
    *axes, common = np.linalg.qr(drawn.normal(size=(WIDTH, PERSONAS + 1)))[0].T
    first = np.array(axes) if mix is None else mix @ np.array(axes)
    sides = first + generic * common, second(first) + generic * common
    probes = (
        side[:, None, None] + noise * drawn.normal(size=(PERSONAS, 1, PROBES, WIDTH)) / np.sqrt(WIDTH)
        for side in sides
    )
    return Distinctness.of(*probes, CLUSTERS)


def pulled(share):
    return lambda axes: (1 - share) * axes + share * axes.mean(0)


def merged(axes):
    return np.array([*axes[:3], *[axes[3:].mean(0)] * 2])


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 0.75, 1])
def test_the_spread_falls_as_all_are_pulled_towards_their_mean(share):
    spread = a_set(pulled(share)).spread()
    assert spread.low <= 1 - share <= spread.high
    assert spread.high - spread.low < 0.1


def test_the_rank_is_that_of_the_planted_set_and_does_not_know_how_far_it_is_pulled():
    for share in (0, 0.5):
        distinctness = a_set(pulled(share))
        assert distinctness.ranks() == pytest.approx((4, 4), abs=0.15)
        assert distinctness.rank().low <= 1 <= distinctness.rank().high


def test_the_rank_falls_where_two_become_one():
    # Five axes of which two are one at half the square: centred, 1, 1 and 0.8 are left of 1, 1, 1 and 1.
    rank = a_set(merged).rank()
    values = np.linalg.eigvalsh(centred_gram(merged(np.eye(PERSONAS))))
    truth = values.sum() ** 2 / np.square(values).sum() / 4
    assert rank.low <= truth <= rank.high
    assert rank.high < 0.9


def centred_gram(axes):
    apart = axes - axes.mean(0)
    return apart @ apart.T


def test_a_set_that_is_noise_has_no_rank_that_is_known():
    assert isinf(a_set(lambda axes: 0 * axes, noise=1.0).rank().high)


def test_intervals_hold_the_truth_as_often_as_they_say():
    # Of unequal lengths, and not at right angles: where all are alike, the rank is at its top.
    mix = np.diag([0.6, 1, 1.3, 0.8, 1.1]) + 0.3 * np.random.default_rng(5).normal(size=(PERSONAS, PERSONAS))
    first, second = mix - mix.mean(0), merged(mix) - mix.mean(0)
    ranks = [np.square(np.trace(g)) / np.square(g).sum() for g in (first @ first.T, second @ second.T)]
    truth = {"rank": ranks[1] / ranks[0], "spread": (first * second).sum() / np.square(first).sum()}
    sets = [a_set(merged, noise=0.5, seed=seed, mix=mix) for seed in range(300)]
    for name, value in truth.items():
        intervals = [getattr(one, name)() for one in sets]
        covered = np.mean([one.low <= value <= one.high for one in intervals])
        assert covered == pytest.approx(0.95, abs=0.03)
