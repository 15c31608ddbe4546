from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.statistics.agreement import paired_difference
from coherence.statistics.intervals import Interval
from coherence.statistics.rising_dose import along, geometric_ratio, largest, slopes, trend

ALONE = [f"q{i}" for i in range(24)]
seeds = st.integers(0, 10_000)
rising = st.lists(st.floats(0, 3), min_size=2, max_size=6, unique=True).map(sorted)


def hits(seed: int, doses: int, probes: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).random((doses, probes)) < 0.5


@given(doses=rising.filter(lambda found: np.ptp(found) > 0.1), seed=seeds)
def test_the_slope_is_that_of_least_squares(doses, seed):
    heard = hits(seed, len(doses))
    fitted = np.polyfit(doses, heard.astype(float), 1)[0]
    assert slopes(doses, heard) == pytest.approx(fitted, abs=1e-6)
    assert trend(doses, heard, ALONE).value == pytest.approx(fitted.mean(), abs=1e-6)


@given(seed=seeds)
def test_with_two_doses_it_is_the_paired_difference(seed):
    heard = hits(seed, 2)
    found, known = trend([0, 1], heard, ALONE), paired_difference(*heard, ALONE)
    assert (found.value, found.low, found.high) == pytest.approx((known.value, known.low, known.high))
    assert found.doubt(0.9) == pytest.approx(known.doubt(0.9))


@given(seed=seeds, factor=st.floats(0.1, 10))
def test_doses_in_other_units_give_the_slope_in_those(seed, factor):
    doses, heard = [0, 0.5, 1, 2], hits(seed, 4)
    one, other = trend(doses, heard, ALONE), trend([factor * dose for dose in doses], heard, ALONE)
    assert (factor * other.value, factor * other.low, factor * other.high) == pytest.approx(
        (one.value, one.low, one.high)
    )


def test_a_response_without_spread_has_an_interval_with_width():
    every = np.tile([[False], [True], [True]], (1, 24))
    found = trend([0, 0.5, 1], every, ALONE)
    assert found.value == pytest.approx(1)
    assert found.low < 0.95
    assert found.high == pytest.approx(1)
    flat = trend([0, 0.5, 1], np.zeros((3, 24), bool), ALONE)
    assert flat.low < 0 < flat.high
    assert flat.value == 0


def test_probes_of_a_template_count_as_one():
    heard = np.repeat(hits(1, 4, probes=8), 3, axis=1)
    alone, together = (
        trend([0, 0.5, 1, 2], heard, clusters) for clusters in (ALONE, [f"t{i // 3}" for i in range(24)])
    )
    assert together.value == alone.value
    assert together.high - together.low > alone.high - alone.low


def test_a_single_dose_has_no_slope():
    found = trend([0], np.ones((1, 24), bool), ALONE)
    assert np.isnan(found.value)
    assert (found.low, found.high) == (-inf, inf)


def test_how_often_the_interval_of_a_slope_misses():
    drawn = np.random.default_rng(0)
    rates = np.array([0.1, 0.2, 0.4, 0.7])
    doses = [0.0, 0.25, 0.5, 1.0]
    truth = np.polyfit(doses, rates, 1)[0]
    missed = 0
    for _ in range(400):
        found = trend(doses, drawn.random(24) < rates[:, None], ALONE)
        missed += not found.low <= truth <= found.high
    assert missed <= 0.07 * 400


@given(seed=seeds, factor=st.floats(0.1, 10))
def test_a_ratio_of_geometric_means(seed, factor):
    one, other = np.random.default_rng(seed).normal(size=(2, 24))
    found = geometric_ratio(one, other, ALONE)
    assert found.value == pytest.approx(np.exp(one.mean()) / np.exp(other.mean()))
    assert 0 < found.low < found.value < found.high
    moved, turned = geometric_ratio(one + np.log(factor), other, ALONE), geometric_ratio(other, one, ALONE)
    assert (moved.low, moved.high) == pytest.approx((factor * found.low, factor * found.high))
    assert (1 / turned.high, 1 / turned.low) == pytest.approx((found.low, found.high))
    assert found.doubt(found.high) == pytest.approx(0.025)
    assert found.doubt(0.0) == 0
    assert turned.doubt(1 / found.low) == pytest.approx(found.doubt(found.low))


def test_a_ratio_of_what_does_not_differ_is_exact():
    found = geometric_ratio(np.ones(24), np.ones(24), ALONE)
    assert (found.value, found.low, found.high) == (1, 1, 1)


@pytest.mark.parametrize("n", [0, 1])
def test_a_ratio_over_too_few_is_not_known(n):
    found = geometric_ratio(np.ones(n), np.zeros(n), ALONE[:n])
    assert (found.high, found.low <= 0) == (inf, True)


def test_the_influence_of_a_ratio_is_in_its_units():
    one = np.random.default_rng(0).normal(size=24) / 100
    found = geometric_ratio(one + 2, np.zeros(24), ALONE)
    spread = np.linalg.norm(list(found.influence.clusters.values()))
    assert 2 * 2.07 * spread == pytest.approx(found.high - found.low, rel=0.01)


@given(seed=seeds, share=st.floats(-2, 2))
def test_how_far_along_a_direction(seed, share):
    drawn = np.random.default_rng(seed)
    line, aside = drawn.normal(size=(2, 16))
    aside -= (aside @ line) / (line @ line) * line
    direction = line + 0.01 * drawn.normal(size=(24, 16))
    moved = share * line + aside + 0.01 * drawn.normal(size=(24, 16))
    found = along(moved, direction, ALONE)
    assert found.value == pytest.approx(share, abs=0.02)
    assert found.low <= found.value <= found.high


def test_along_nothing_is_undefined():
    assert np.isnan(along(np.ones((24, 4)), np.zeros((24, 4)), ALONE).value)


def differences(*rates: float) -> list[Interval]:
    """Rates above, or below, a bare rate of one half."""
    row = np.arange(24)
    bare = row < 12
    return [paired_difference(bare, row < 12 + round(24 * rate), ALONE) for rate in rates]


def test_the_largest_effect_is_of_either_sign():
    for first, second in [(0.1, -0.4), (-0.1, 0.4)]:
        found = largest(differences(first, second))
        assert found.value == pytest.approx(10 / 24)
        assert 0 < found.low < found.value < found.high


def test_the_largest_of_one_is_its_size():
    (one,) = differences(-0.4)
    found = largest([one])
    assert (found.value, found.low, found.high) == pytest.approx((-one.value, -one.high, -one.low))
    assert found.doubt(0.7) == pytest.approx(one.doubt(-0.7))
    assert found.doubt(0.1) == pytest.approx(one.doubt(-0.1))
    assert found.influence.clusters == {name: -adds for name, adds in one.influence.clusters.items()}


def test_the_largest_of_more_is_less_sure_to_be_large():
    few, many = largest(differences(0.4)), largest(differences(0.4, *[0.0] * 9))
    assert many.value == few.value
    assert many.low < few.low
    assert many.high >= few.high
    assert many.doubt(many.low) == pytest.approx(0.025, abs=1e-6)
    assert many.doubt(many.high) == pytest.approx(0.025, abs=1e-6)


def test_an_effect_that_is_not_told_from_none_may_be_none():
    found = largest(differences(0.0, 0.04))
    assert found.low == 0
    assert found.high > 0.1


def test_a_least_certain_effect_may_be_the_largest():
    unsure = Interval(0.0, -0.9, 0.9, lambda bound: 0.025 if abs(bound) >= 0.9 else 0.5)
    assert largest([*differences(0.1), unsure]).high == 0.9


def test_an_effect_that_is_undefined_leaves_no_largest():
    for order in (1, -1):
        found = largest([*differences(0.1), Interval(nan, -inf, inf)][::order])
        assert np.isnan(found.value)
        assert (found.low, found.high) == (-inf, inf)


def test_an_effect_of_which_nothing_is_known():
    found = largest([*differences(0.4), Interval(0.5, -inf, inf)])
    assert (found.value, found.high) == (0.5, inf)
    assert 0 < found.low < 10 / 24
