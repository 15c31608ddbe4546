"""What a healthy release shows: thresholds at a stated rate of false alarms, and the probes they need."""

from math import inf, isinf, nan

import numpy as np
import pytest

from coherence.statistics.intervals import Z
from coherence.statistics.jackknife import ratio_of_means
from coherence.thresholds.halves import LEAST_CLUSTERS, size
from coherence.thresholds.healthy import Healthy
from coherence.thresholds.side import Side
from coherence.vocabulary import Criterion, Estimate


def mean(values):
    half = Z * values.std(ddof=1) / np.sqrt(len(values))
    value = values.mean()
    estimate = Estimate(name="mean", value=value, low=value - half, high=value + half, n=len(values))
    return Criterion(estimate=estimate, at_least=0.0)


def healthy(values, random, side=Side.AT_LEAST, count=40):
    n = len(values)
    halves = [mean(values[random.permutation(n)[: size(n)]]) for _ in range(count)]
    return Healthy.of(side, [mean(values)], halves, n)


@pytest.mark.parametrize("side", Side)
def test_as_healthy_a_release_misses_its_threshold_as_often_as_was_said(side):
    random, rates, runs = np.random.default_rng(5), np.array([0.05, 0.2]), 400
    missed = np.zeros(2)
    for _ in range(runs):
        calibrated, released = random.normal(1, 1, size=(2, 20))
        found, reach = healthy(calibrated, random, side), side.reach(mean(released).estimate)
        missed += [reach < found.threshold(rate) for rate in rates]
    noise = 3 * np.sqrt(rates * (1 - rates) / runs)
    assert (missed / runs < rates + noise).all()
    assert (missed / runs > rates / 3).all()


def test_the_rate_of_a_threshold_is_the_rate_it_was_made_for():
    found = healthy(np.random.default_rng(0).normal(size=24), np.random.default_rng(1))
    assert found.false_alarm(found.threshold(0.05)) == pytest.approx(0.05)
    assert found.threshold(0.01) < found.threshold(0.05) < found.threshold(0.5) == pytest.approx(found.end)


def test_on_the_probes_that_are_needed_a_release_passes_with_the_stated_power():
    random = np.random.default_rng(0)
    found = healthy(random.normal(0.5, 1, size=2000), random, count=100)
    needed = round(found.needed(found.value - 0.3, power=0.9))
    assert needed == pytest.approx(((1.96 + 1.2816) / 0.3) ** 2, rel=0.1)
    passed = [mean(random.normal(0.5, 1, size=needed)).estimate.low >= 0.2 for _ in range(1000)]
    assert np.mean(passed) == pytest.approx(0.9, abs=0.03)


def test_no_number_of_probes_helps_an_estimate_on_the_wrong_side():
    found = healthy(np.arange(24.0), np.random.default_rng(0))
    assert isinf(found.needed(found.value, power=0.9))
    assert found.needed(-1e6, power=0.9) == LEAST_CLUSTERS


def test_an_interval_that_never_varies_still_leaves_room():
    found = Healthy.of(Side.AT_LEAST, [mean(np.arange(24.0))], [mean(np.arange(24.0))] * 20, 24)
    assert found.error == pytest.approx((found.value - found.end) / Z)
    assert found.threshold(0.05) < found.end


@pytest.mark.parametrize(("without", "known"), [(0, True), (4, True), (6, False), (20, False)])
def test_most_halves_must_have_a_value(without, known):
    nothing = Estimate(name="mean", value=nan, low=-inf, high=inf, n=12)
    values = np.random.default_rng(0).normal(size=24)
    halves = [mean(values[::2]), mean(values[1::2])] * 10
    halves[:without] = [Criterion(estimate=nothing, at_least=0.0)] * without
    assert Healthy.of(Side.AT_LEAST, [mean(values)], halves, 24).known is known


def ratio(above, below):
    """A ratio whose interval is endless where what is below is not told from 0."""
    found = ratio_of_means(above[None], below[None], [str(row) for row in range(len(above))])
    estimate = Estimate(name="ratio", value=found.value, low=found.low, high=found.high, n=len(above))
    return Criterion(estimate=estimate, at_least=0.0)


def test_twelve_probes_are_enough_where_six_would_have_no_interval():
    random, runs = np.random.default_rng(3), 100
    known, endless, missed = 0, [], 0
    for _ in range(runs):
        samples = random.normal(1, [[0.3], [0.75]], size=(2, 2, 12))
        calibrated, released = samples
        drawn = [random.permutation(12) for _ in range(20)]
        endless += [ratio(*calibrated[:, rows[:6]]).estimate.low == -inf for rows in drawn]
        halves = [ratio(*calibrated[:, rows[: size(12)]]) for rows in drawn]
        found = Healthy.of(Side.AT_LEAST, [ratio(*calibrated)], halves, 12)
        known += found.known
        missed += found.known and ratio(*released).estimate.low < found.threshold(0.05)
    assert np.mean(endless) > 0.25
    assert known > 0.75 * runs
    assert missed / known < 0.05 + 2 * np.sqrt(0.05 * 0.95 / known)
