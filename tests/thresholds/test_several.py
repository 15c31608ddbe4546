"""Several healthy releases: thresholds that they and the next of their kind pass."""

from math import inf

import numpy as np
import pytest

from coherence.thresholds.healthy import Healthy
from coherence.thresholds.several import Several
from coherence.thresholds.side import Side
from coherence.vocabulary import Estimate

FREEDOM = 11.0


def shown(end, error=1.0):
    """What a release shows whose interval reaches so far."""
    estimate = Estimate(name="x", value=end + 2 * error, low=end, high=end + 4 * error, n=24)
    return Healthy(Side.AT_LEAST, estimate, end + 2 * error, end, error, FREEDOM)


def several(*ends, error=1.0):
    return Several({str(place): shown(end, error) for place, end in enumerate(ends)})


def test_a_release_alone_is_what_it_was():
    alone = Several({None: shown(0.7, 0.05)})
    assert alone.threshold(0.05) == shown(0.7, 0.05).threshold(0.05)
    assert alone.false_alarm(0.6) == shown(0.7, 0.05).false_alarm(0.6)


def test_releases_that_are_the_same_are_one():
    """A file that changes another persona's adapter leaves this one's as it was."""
    assert several(3.0, 3.0, 3.0).threshold(0.05) == shown(3.0).threshold(0.05)
    assert several(3.0, 1.0, 3.0).threshold(0.05) == several(3.0, 1.0).threshold(0.05)


def test_the_weakest_release_bounds():
    """Of many that lie close together the mean says much, and yet each of them must pass."""
    found = several(*np.linspace(0, 0.1, 10))
    assert found.weakest(0.05) == "0"
    assert found.end == 0
    assert found.threshold(0.05) <= shown(0.0).threshold(0.05)


@pytest.mark.parametrize("between", [0, 0.5, 1, 2, 5])
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("shared", [True, False], ids=["same-probes", "other-probes"])
def test_the_next_release_misses_its_threshold_no_more_often_than_was_said(between, count, shared):
    """Releases lie `between` apart, in units of each one's error; the next is like them, on other probes."""
    random, rate, runs = np.random.default_rng(7), 0.1, 400
    missed = 0
    for _ in range(runs):
        sampled = random.normal(size=1 if shared else count)
        ends = between * random.normal(size=count) + sampled
        error = np.sqrt(random.chisquare(FREEDOM) / FREEDOM)
        following = between * random.normal() + random.normal()
        missed += following < several(*ends, error=error).threshold(rate)
    assert missed / runs < rate + 2.5 * np.sqrt(rate * (1 - rate) / runs)


def test_the_rate_of_a_threshold_is_the_rate_it_was_made_for():
    found = several(1.0, 3.0, 2.5)
    assert found.false_alarm(found.threshold(0.05)) == pytest.approx(0.05, abs=1e-6)
    assert found.threshold(0.01) < found.threshold(0.05) < found.threshold(0.3)


def test_two_releases_far_apart_tell_little():
    assert several(1.0, 3.0).threshold(0.05) < several(1.0, 3.0, 1.0 + 1e-9, 3.0 - 1e-9).threshold(0.05)


def test_where_one_is_not_known_none_is():
    found = several(1.0, -inf)
    assert not found.known
    assert found.threshold(0.05) == -inf
