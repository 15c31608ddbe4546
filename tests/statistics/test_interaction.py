from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coherence.statistics.interaction import Cells, largest, quartiles, recovered

SITES, CELLS, WIDTH = 2, 6, 5
CLUSTERS = list("abcdef")

numbers = st.integers(-9, 9).map(float)
residuals = arrays(np.float64, (SITES, CELLS, WIDTH), elements=numbers)


@given(residuals, residuals, residuals, residuals)
def test_what_is_measured_does_not_depend_on_the_neutral_prompt_or_on_scale(bb, dx, dy, dxy):
    here = Cells(bb, bb + dx, bb + dy, bb + dxy)
    there = Cells(2 * bb + 7, 2 * (bb + dx) + 7, 2 * (bb + dy) + 7, 2 * (bb + dxy) + 7)
    for name in ("cosine", "overlap", "interaction"):
        first, second = getattr(here, name), getattr(there, name)
        assert first == pytest.approx(second, nan_ok=True)


@given(residuals, residuals, residuals)
def test_what_adds_up_has_cosine_1_and_no_interaction(bb, dx, dy):
    cells = Cells(bb, bb + dx, bb + dy, bb + dx + dy)
    moved = ~np.isnan(cells.cosine)
    assert cells.cosine[moved] == pytest.approx(np.ones(moved.sum()))
    assert cells.interaction[moved] == pytest.approx(np.zeros(moved.sum()))
    assert (np.isnan(cells.interaction) == (dx + dy == 0).all(-1)).all()


@given(residuals, residuals, residuals, residuals)
def test_persona_and_task_change_places(bb, dx, dy, dxy):
    here, there = Cells(bb, bb + dx, bb + dy, bb + dxy), Cells(bb, bb + dy, bb + dx, bb + dxy)
    for name in ("cosine", "overlap", "interaction"):
        assert getattr(here, name) == pytest.approx(getattr(there, name), nan_ok=True)


def test_a_high_cosine_goes_with_a_large_interaction():
    # The sum points the right way and is twice as long.
    bb, one = np.zeros((1, 1, 2)), np.array([[[1.0, 0.0]]])
    cells = Cells(bb, one, one, one)
    assert cells.cosine.item() == cells.overlap.item() == cells.interaction.item() == 1


def test_what_moves_nothing_is_undefined_and_never_0():
    bb = np.full((1, 3, 2), 100.0)
    dx = np.array([[[1.0, 0], [1e-4, 0], [1, 0]]])
    dy = np.array([[[0.0, 1], [0, 1], [-1, 0]]])
    cells = Cells(bb, bb + dx, bb + dy, bb + dx + dy)
    # Second cell: the persona is rounding. Third: it undoes the task.
    assert cells.still[:, 0].tolist() == [
        [False, True, False],
        [False, False, False],
        [False, False, True],
        [False, False, True],
    ]
    assert np.isnan(cells.cosine[0, 2])
    assert np.isnan(cells.interaction[0, 2])


@given(arrays(np.float64, (2, CELLS), elements=numbers))
def test_quartiles_are_those_of_numpy_over_the_last_axis(values):
    assert quartiles(values)[1] == pytest.approx(np.median(values, axis=-1))
    assert (np.diff(quartiles(values), axis=0) >= 0).all()


@pytest.mark.parametrize(("left", "share"), [(0.0, 1.0), (5.0, 0.5), (10.0, 0.0), (20.0, -1.0)])
def test_a_share_is_what_is_closed_of_the_gap(left, share):
    whole = np.array([8.0, 9, 10, 10, 11, 12])
    found = recovered(left / 10 * whole, whole, CLUSTERS).interval
    assert (found.value, found.low, found.high) == pytest.approx((share, share, share))


def test_without_a_gap_there_is_no_share():
    found = recovered(np.zeros(6), np.zeros(6), CLUSTERS).interval
    assert np.isnan(found.value)
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_the_largest_of_one_is_itself():
    pivot = recovered(np.array([1.0, 3, 2, 4, 1, 2]), np.array([5.0, 9, 6, 10, 8, 7]), CLUSTERS)
    found, alone = largest([pivot]), pivot.interval
    assert (found.value, found.low, found.high) == pytest.approx((alone.value, alone.low, alone.high))
    for bound in (0.0, 0.5, 0.66, 0.8, 1.0):
        assert found.doubt(bound) == pytest.approx(alone.doubt(bound))


def test_the_largest_of_several_is_allowed_for_in_both_directions():
    whole = np.array([5.0, 9, 6, 10, 8, 7])
    better = recovered(np.array([1.0, 3, 2, 4, 1, 2]), whole, CLUSTERS)
    vague = recovered(np.array([0.0, 8, 1, 9, 0, 6]), whole, CLUSTERS)
    found = largest([better, vague])
    assert found.value == max(better.value, vague.value)
    # All must be below a bound, and one above it is enough, which many give by chance.
    assert found.high == pytest.approx(max(better.interval.high, vague.interval.high))
    assert found.low < better.interval.low


def test_the_largest_of_what_is_undefined_is_undefined():
    pivot = recovered(np.zeros(6), np.zeros(6), CLUSTERS)
    found = largest([pivot, pivot])
    assert (str(found.value), found.low, found.high) == (str(nan), -np.inf, np.inf)
