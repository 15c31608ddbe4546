"""Levels of interim looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.statistics.interim import look_levels


@given(st.lists(st.integers(1, 500), min_size=1, unique=True).map(sorted), st.floats(0.001, 1))
def test_looks_have_the_level_together_and_none_is_for_nothing(sizes, level):
    levels = look_levels(sizes, level)
    assert len(levels) == len(sizes)
    assert sum(levels) == pytest.approx(level)
    assert all(one > 0 for one in levels)


@given(st.lists(st.integers(1, 500), min_size=2, unique=True).map(sorted), st.data())
def test_what_is_spent_by_then_does_not_depend_on_the_looks_before(sizes, data):
    """Else looks that are added would change what the others are held against beyond what they spend."""
    kept = sorted({*data.draw(st.sets(st.sampled_from(sizes))), sizes[-1]})
    spent = dict(zip(sizes, accumulated(look_levels(sizes, 0.05)), strict=True))
    for size, level in zip(kept, accumulated(look_levels(kept, 0.05)), strict=True):
        assert level == pytest.approx(spent[size])


def accumulated(levels):
    return [sum(levels[: place + 1]) for place in range(len(levels))]


def test_a_look_after_a_third_has_a_ninth():
    assert look_levels((8, 16, 24), 0.05) == pytest.approx((0.05 / 9, 0.05 / 3, 0.05 * 5 / 9))
