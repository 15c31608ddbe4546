from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged import NAMES, judged, mean
from scipy.stats import ttest_rel

from coherence.baseline.baseline import Line
from coherence.baseline.difference import Gain
from coherence.properties.criterion import held
from coherence.statistics.agreement import paired_difference


def line(criterion):
    (found,) = Line.of(judged(criterion))
    return found


def gain(before, now, **bounds):
    return Gain.of(*(line(mean(values, **bounds)) for values in (before, now)))


@pytest.fixture
def draw():
    """Draw the values of the probes of a release."""
    return np.random.default_rng(5)


@given(st.integers(0, 2**32 - 1))
def test_of_two_means_it_is_the_paired_t_test(seed):
    before, now = np.random.default_rng(seed).normal(0.8, 0.1, (2, 16))
    found, theirs = gain(before, now), ttest_rel(now, before)
    assert found.paired
    assert found.interval.value == pytest.approx(now.mean() - before.mean(), abs=1e-5)
    low, high = theirs.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=0.02, abs=1e-3)
    assert found.interval.doubt(0) == pytest.approx(theirs.pvalue / 2, rel=0.1, abs=1e-3)


@given(st.integers(0, 2**32 - 1))
def test_less_is_better_where_there_is_a_most(seed):
    before, now = np.random.default_rng(seed).normal(0.8, 0.1, (2, 16))
    rising, falling = gain(before, now), gain(before, now, at_least=-inf, at_most=1)
    assert falling.interval.value == -rising.interval.value
    assert falling.difference == rising.difference


def test_with_two_ends_nearer_to_the_middle_is_better():
    draw = np.random.default_rng(3)
    noise = draw.normal(0, 0.01, 16)
    bounds = {"at_least": -0.5, "at_most": 0.5}
    across = gain(noise - 0.1, noise + 0.12, **bounds)
    assert across.interval.value == pytest.approx(-0.02 - 2 * noise.mean(), abs=1e-5)
    assert across.difference.of == "distance"
    assert across.difference.value == pytest.approx(0.02 + 2 * noise.mean(), abs=1e-5)
    away = gain(noise + 0.1, noise + 0.3, **bounds)
    assert away.interval.high == pytest.approx(-0.2, abs=1e-4)


def test_a_release_beside_itself_is_no_different(draw):
    values = draw.normal(0.8, 0.1, 16)
    found = gain(values, values).interval
    assert (found.value, found.low, found.high, found.doubt(-0.01)) == (0, 0, 0, 0)
    assert gain(values, values).difference.value == 0


def test_other_probes_do_not_pair(draw):
    before, now = draw.normal(0.8, 0.1, (2, 16))
    others = [f"other-{name}" for name in NAMES[:16]]
    one, two = mean(before), mean(now, clusters=others)
    found = Gain.of(line(one), line(two))
    assert not found.paired
    halves = [side.estimate.high - side.estimate.value for side in (one, two)]
    assert found.interval.high - found.interval.value == pytest.approx(sqrt(sum(np.square(halves))), abs=1e-5)
    for end in (found.interval.low, found.interval.high):
        assert found.interval.doubt(end) == pytest.approx(0.025, rel=1e-6)


def test_of_an_older_document_nothing_pairs(draw):
    before = line(mean(draw.normal(0.8, 0.1, 16)))
    assert not Gain.of(before.model_copy(update={"influence": None}), before).paired


def test_what_nothing_is_known_of_stays_unknown(draw):
    before = line(mean(draw.normal(0.8, 0.1, 16)))
    unknown = before.model_copy(update={"low": -inf, "high": inf, "influence": None})
    assert (Gain.of(before, unknown).interval.low, Gain.of(unknown, before).interval.high) == (-inf, inf)


@pytest.mark.parametrize(("lost", "told_apart"), [(0, False), (2, False), (5, False), (6, True), (12, True)])
def test_a_few_replies_that_lost_their_marker_tell_nothing_apart(lost, told_apart):
    # As McNemar's exact test, which rejects from 6 of 6 discordant probes on.
    bare = np.zeros(24, dtype=bool)
    hits = [np.arange(24) < 20, np.arange(24) < 20 - lost]
    criteria = [
        held("rate", paired_difference(bare, each, NAMES), 24, at_least=0.5, key=None) for each in hits
    ]
    found = Gain.of(*map(line, criteria))
    assert found.paired
    assert (found.interval.high < 0) == told_apart


def test_the_interval_of_a_difference_holds_it_as_often_as_it_says():
    draw, held_it, several = np.random.default_rng(11), 0, 400
    for _ in range(several):
        shared = draw.normal(0, 0.2, 12)
        before, now = (0.8 + shared + draw.normal(0, 0.1, 12) - worse for worse in (0, 0.1))
        found = gain(before, now).interval
        held_it += found.low <= -0.1 <= found.high
    assert 0.92 <= held_it / several <= 0.98
