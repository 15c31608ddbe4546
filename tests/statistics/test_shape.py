import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.statistics.shape import STEEPEST, Logistic, line

AT = np.array([0.0, 0.25, 0.5, 0.75, 1.0])


def error(shape, positions, at=AT):
    return float(np.square(shape(at) - positions).sum())


@given(st.floats(0.1, 0.9), st.floats(2, 15))
def test_a_logistic_curve_is_found(middle, steepness):
    at = np.linspace(0, 1, 11)
    found = Logistic.nearest(at, Logistic(middle, steepness)(at))
    assert (found.middle, found.steepness) == pytest.approx((middle, steepness), rel=1e-3)


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_a_line_is_found(start, slope):
    assert line(AT, start + slope * AT)(AT) == pytest.approx(start + slope * AT, abs=1e-9)


@given(st.lists(st.floats(-0.2, 1.2), min_size=3, max_size=3), st.floats(0, 1), st.floats(0, 50))
def test_no_other_curve_is_much_nearer(between, middle, steepness):
    positions = np.array([0.0, *between, 1.0])
    nearest = Logistic.nearest(AT, positions)
    assert error(nearest, positions) <= error(Logistic(middle, steepness), positions) + 0.02


def test_a_step_is_as_steep_as_can_be_told():
    found = Logistic.nearest(AT, np.array([0.0, 0, 0, 1, 1]))
    assert 20 < found.steepness <= STEEPEST
    assert 0.5 < found.middle < 0.75


def test_a_linear_response_is_a_little_slower_than_the_steepest_part_of_its_curve():
    assert 1 < Logistic.nearest(AT, AT).slope < 1.5
