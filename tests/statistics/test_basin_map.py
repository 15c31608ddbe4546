from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coherence.statistics.basin_map import BasinMap, returned
from coherence.statistics.jackknife import smallest

SCRIPTS = [f"s{number}" for number in range(8)]
STARTS = np.array([0.25, 0.5, 0.75, 1.0])
MOVES = arrays(float, (8, 2), elements=st.floats(-1, 1))


def mapped(ends, noise=0.03, seed=0):
    """A map whose means are these, with noise in both of their ends."""
    drawn = np.random.default_rng(seed)

    def spread(means):
        around = noise * drawn.normal(size=(len(means), len(SCRIPTS)))
        return np.array(means)[:, None] + around - around.mean(axis=1, keepdims=True)

    return BasinMap.of(spread(STARTS), spread(ends), SCRIPTS)


def test_what_comes_back_half_way_has_returned_by_half():
    release = np.random.default_rng(0).uniform(0.5, 1, (8, 1))
    found = returned(release, release / 2, SCRIPTS).interval
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_what_goes_on_has_returned_by_less_than_nothing():
    release = np.random.default_rng(0).uniform(0.5, 1, (8, 1))
    assert returned(release, 1.5 * release, SCRIPTS).interval.value == pytest.approx(-0.5)


@given(MOVES, MOVES, st.floats(0.1, 10), st.floats(0, 6.3))
def test_units_and_the_turn_of_the_axes_change_nothing(release, now, unit, angle):
    release = release + np.array([1.5, 0.0])
    turn = unit * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    as_is, turned = (returned(release @ by, now @ by, SCRIPTS) for by in (np.eye(2), turn))
    assert turned.value == pytest.approx(as_is.value, abs=1e-9)
    assert turned.limits() == pytest.approx(as_is.limits(), abs=1e-6)


def test_what_moves_across_the_way_does_not_count_as_left():
    release, now = np.tile([1.0, 0.0], (8, 1)), np.tile([0.25, 3.0], (8, 1))
    assert returned(release, now, SCRIPTS).value == pytest.approx(0.75)


def test_the_least_of_several_starts_decides():
    drawn = np.random.default_rng(0)
    release = drawn.uniform(0.8, 1, (3, 8, 1))
    now = release * np.array([0.1, 0.6, 0.3])[:, None, None] + 0.05 * drawn.normal(size=release.shape)
    found = smallest([returned(*both, SCRIPTS) for both in zip(release, now, strict=True)])
    assert found.value == pytest.approx(0.4, abs=0.05)
    assert found.low < found.value < found.high


def test_a_border_lies_between_what_falls_back_and_what_goes_on():
    (border,) = mapped([0.0, 0.3, 1.0, 1.0]).borders()
    # From half the way it falls by 0.2, from three quarters it rises by 0.25.
    assert border.value == pytest.approx(0.5 + 0.25 * 0.2 / 0.45)
    assert 0.5 < border.low < border.value < border.high < 0.75


def test_the_doubt_at_either_end_is_that_of_an_interval():
    (border,) = mapped([0.0, 0.3, 1.0, 1.0]).borders()
    assert border.doubt(border.low) == pytest.approx(0.025, abs=2e-3)
    assert border.doubt(border.high) == pytest.approx(0.025, abs=2e-3)
    assert border.doubt(0.5) < 1e-3


@pytest.mark.parametrize(
    ("ends", "low", "high"),
    [([0.1, 0.2, 0.3, 0.4], 0.9, inf), ([0.5, 0.8, 1.0, 1.2], -inf, 0.1)],
    ids=["all go back", "all go on"],
)
def test_without_a_crossing_the_border_lies_beyond_the_starts(ends, low, high):
    basins = mapped(ends)
    assert basins.borders() == []
    border = basins.border()
    assert border.low >= low
    assert border.high <= high
    assert border.value == pytest.approx(1.0 if low > 0 else 0.0, abs=1e-3)


def test_a_border_may_hide_where_the_map_is_not_surely_below_the_diagonal():
    border = mapped([0.1, 0.46, 0.5, 0.5], noise=0.06).border()
    assert 0.25 < border.low < 0.5 < border.high == inf
    assert border.doubt(border.low) == pytest.approx(0.025, abs=2e-3)
    assert border.doubt(0.2) < 1e-3


def test_a_map_on_the_diagonal_has_no_border_that_is_told():
    for seed in range(20):
        border = mapped(STARTS, seed=seed).border()
        assert not np.isfinite([border.low, border.high]).all()


def test_a_border_that_is_told_goes_before_one_that_is_not():
    basins = mapped([0.24, 0.54, 0.3, 1.2])  # barely below the diagonal, barely above, clearly across
    first, second = basins.borders()
    assert not np.isfinite([first.low, first.high]).all()
    assert basins.border() == second


@given(st.permutations(range(4)))
def test_the_order_of_the_starts_does_not_matter(order):
    one = mapped([0.0, 0.3, 1.0, 1.0])
    there = [place + 1 for place in order]  # the first is the unmoved conversation
    assert BasinMap.of(one.start[there], one.end[there], SCRIPTS).border() == one.border()


def test_one_script_gives_no_interval():
    basins = BasinMap.of(STARTS[:, None], np.array([[0.0], [0.3], [1.0], [1.0]]), ["s0"])
    (border,) = basins.borders()
    assert (border.low, border.high) == (-inf, inf)
