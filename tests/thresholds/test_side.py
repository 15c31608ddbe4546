"""Which ends of an interval a threshold bounds."""

from math import inf

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from coherence.thresholds.side import Side, decimals, outward, plain, sides
from coherence.vocabulary import Criterion, Estimate, Verdict

finite = st.floats(-2, 2)


def estimate(low, value, high):
    return Estimate(name="x", value=value, low=low, high=high, n=9)


def held(side, found, threshold):
    at_least = {Side.AT_LEAST: threshold, Side.AT_MOST: -inf, Side.WITHIN: -threshold}[side]
    return Criterion(estimate=found, at_least=at_least, at_most=inf if side is Side.AT_LEAST else threshold)


@given(st.sampled_from(Side), st.lists(finite, min_size=3, max_size=3).map(sorted), finite)
def test_reaches_say_what_the_verdict_says(side, ends, threshold):
    found = estimate(*ends)
    verdict = held(side, found, abs(threshold) if side is Side.WITHIN else threshold).raw_verdict
    reach = side.reach_of(abs(threshold) if side is Side.WITHIN else threshold)
    assert (verdict is Verdict.PASS) == (side.reach(found) >= reach)
    assert (verdict is Verdict.FAIL) == (side.furthest(found) < reach)
    assert side.reach(found) <= side.expected(found) <= side.furthest(found) + 1e-12
    assert side.reach_of(reach) == (abs(threshold) if side is Side.WITHIN else threshold)


@pytest.mark.parametrize(
    ("bounds", "written", "found"),
    [
        ({"at_least": 0.4}, 0.4, (Side.AT_LEAST,)),
        ({"at_most": 0.4}, 0.4, (Side.AT_MOST,)),
        ({"at_least": -0.4, "at_most": 0.4}, 0.4, (Side.WITHIN,)),
        ({"at_least": 0.2, "at_most": 0.4}, (0.2, 0.4), (Side.AT_LEAST, Side.AT_MOST)),
    ],
)
def test_a_key_has_a_side_for_each_of_its_numbers(bounds, written, found):
    assert sides(Criterion(estimate=estimate(0, 0, 0), **bounds), written) == found


@given(finite)
def test_outward_is_lenient_by_less_than_a_hundredth(reach):
    assert reach - 0.01 <= outward(reach) <= reach + 1e-9


def test_outward_keeps_two_decimals():
    assert [outward(0.29), outward(-0.29), outward(0.295)] == [0.29, -0.29, 0.29]


@pytest.mark.parametrize(
    ("threshold", "places", "text"),
    [
        (0.3, 2, "0.3"),
        (1, 2, "1"),
        (0.05, 2, "0.05"),
        (-0.002, 3, "-0.002"),
        (1e-5, 5, "0.00001"),
        (12.5, 2, "12.5"),
    ],
)
def test_a_number_keeps_the_decimals_of_the_one_in_whose_place_it_stands(threshold, places, text):
    assert decimals(threshold) == places
    assert plain(threshold) == text
    assert yaml.safe_load(plain(threshold)) == threshold


def test_outward_keeps_more_decimals_where_they_are_asked_for():
    assert [outward(reach, 5) for reach in (-0.0000063, 0.00002, -0.3)] == [-0.00001, 0.00002, -0.3]
