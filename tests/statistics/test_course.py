import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.statistics.course import Course, Region, rate

SCRIPTS = [f"script-{number}" for number in range(8)]


def course(slope, start=1.0, noise=0.05, turns=6, scripts=8, seed=0):
    drawn = np.random.default_rng(seed)
    values = start + slope * np.arange(turns) + noise * drawn.normal(size=(scripts, turns))
    return Course(values, SCRIPTS[:scripts])


@given(slope=st.floats(-1, 1), start=st.floats(-2, 2), turns=st.integers(2, 9))
def test_a_straight_course_has_its_slope_and_what_lies_between_its_ends(slope, start, turns):
    found = course(slope, start, noise=0.0, turns=turns)
    assert found.slope().value == pytest.approx(slope, abs=1e-9)
    assert found.total().value == pytest.approx(slope * (turns - 1), abs=1e-9)


@given(gaps=st.sets(st.integers(0, 5), max_size=4))
def test_turns_without_an_answer_do_not_bend_a_slope(gaps):
    found = course(0.1, noise=0.0)
    found.values[:, sorted(gaps)] = np.nan
    assert found.slopes == pytest.approx([0.1] * 8)
    assert [np.isnan(point.value) for point in found.by_turn()] == [turn in gaps for turn in range(6)]


def test_the_slope_is_surer_than_the_difference_of_two_turns():
    def width(found):
        return found.high - found.low

    found = [course(0.0, seed=seed) for seed in range(40)]
    assert np.mean([5 * width(one.slope()) / width(one.total()) for one in found]) < 0.95


def test_intervals_hold_the_planted_slope_as_often_as_they_say():
    found = [course(0.03, seed=seed).slope() for seed in range(400)]
    assert np.mean([one.low <= 0.03 <= one.high for one in found]) == pytest.approx(0.95, abs=0.03)


def test_one_more_value_lies_in_the_region_with_the_probability_that_was_asked_for():
    drawn = np.random.default_rng(1)
    for coverage in (0.5, 0.9):
        samples = drawn.normal(size=(2000, 9))
        inside = [Region.predicted(one[:8], coverage).within(one[8:])[0] >= 0 for one in samples]
        assert np.mean(inside) == pytest.approx(coverage, abs=0.03)


def test_a_course_that_leaves_is_out_at_the_turn_at_which_all_of_its_interval_is():
    assert course(-0.2, noise=0.02).left(Region(0.5, 1.5)) == 3
    assert course(0.2, noise=0.02).left(Region(0.5, 1.5)) == 3
    assert course(0.0).left(Region(0.5, 1.5)) is None


def test_the_margin_is_that_of_the_turn_nearest_to_an_end_of_the_region():
    margin = course(-0.1, noise=0.02).margin(Region(0.75, 1.5), turns=3)
    assert margin.value == pytest.approx(0.05, abs=0.02)
    assert margin.low > 0
    assert course(-0.1, noise=0.02).margin(Region(0.75, 1.5), turns=6).high < 0


@pytest.mark.parametrize(("slope", "highest"), [(0.1, 1.5), (-0.1, 1.0), (-1.0, 1.0)])
def test_the_highest_turn_is_the_one_with_the_highest_mean(slope, highest):
    found = course(slope, noise=0.02)
    assert found.highest().value == pytest.approx(found.means.max()) == pytest.approx(highest, abs=0.03)
    assert found.highest().low < found.means.max() < found.highest().high


def test_scripts_that_are_shorter_leave_the_rest_to_the_others():
    found = course(-0.1, noise=0.02)
    found.values[:4, 4:] = np.nan
    assert found.means[5] == pytest.approx(0.5, abs=0.03)
    assert found.margin(Region(0.75, 1.5), turns=6).value == pytest.approx(-0.25, abs=0.03)
    found.values[1:, 5] = np.nan
    assert found.by_turn()[5].low == -np.inf


def test_two_courses_are_paired_by_script():
    drawn = np.random.default_rng(2)
    own = drawn.normal(size=(8, 1)) * np.arange(6)  # each script has a slope of its own
    here, there = (Course(course(slope, noise=0.01).values + own, SCRIPTS) for slope in (0.1, 0.0))
    assert here.steeper(there).value == pytest.approx(0.1, abs=0.01)
    assert here.steeper(there).low > 0.08
    assert here.slope().low < 0 < here.slope().high
    assert [point.value for point in here.apart(there)] == pytest.approx(0.1 * np.arange(6), abs=0.03)


@pytest.mark.parametrize("hit", [0.0, 1.0])
def test_eight_scripts_that_agree_do_not_make_a_rate_sure(hit):
    found = rate(Course(np.full((8, 6), hit), SCRIPTS))
    assert found.value == hit
    assert 0 <= found.low <= hit <= found.high <= 1
    assert found.high - found.low > 0.2


def test_a_rate_is_the_mean_over_scripts_of_those_answers_that_there_are():
    hits = np.array([[1.0, 1, 0, 0], [1, np.nan, np.nan, np.nan]] * 4)
    assert rate(Course(hits, SCRIPTS)).value == pytest.approx(0.75)
