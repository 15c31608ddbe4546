from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.statistics.generic import Generic, basis, halvings, outside

DEPTHS, PROBES, WIDTH = 2, 6, 40


@given(count=st.integers(2, 9))
def test_halves_are_disjoint_hold_everybody_and_take_everybody_equally_often(count):
    ways = halvings(count)
    for one, other in ways:
        assert sorted([*one, *other]) == list(range(count))
        assert abs(len(one) - len(other)) <= 1
        assert (other, one) in ways
    taken = [sum(control in one for one, _ in ways) for control in range(count)]
    assert len(set(taken)) == 1
    assert len(ways) == len({tuple(map(tuple, way)) for way in ways})


@given(seed=st.integers(0, 99), count=st.integers(1, 3))
def test_what_is_outside_directions_is_at_right_angles_to_all_of_them(seed, count):
    drawn = np.random.default_rng(seed)
    directions = drawn.normal(size=(DEPTHS, count, WIDTH))
    left = outside(drawn.normal(size=(DEPTHS, PROBES, WIDTH)), basis(directions))
    assert left @ np.swapaxes(directions, -1, -2) == pytest.approx(0, abs=1e-9)
    assert outside(left, basis(directions)) == pytest.approx(left, abs=1e-9)


def test_a_direction_that_is_zero_or_lies_along_another_takes_nothing_away():
    drawn = np.random.default_rng(0)
    moved, one = drawn.normal(size=(DEPTHS, PROBES, WIDTH)), drawn.normal(size=(DEPTHS, 1, WIDTH))
    once = outside(moved, basis(one))
    assert outside(moved, basis(np.concatenate([one, 3 * one, 0 * one], axis=1))) == pytest.approx(once)
    assert outside(moved, basis(0 * one)) == pytest.approx(moved)


def plainly(generic, first, second):
    """The same products, one way of parting the controls after the other, with every residual written out."""
    found = []
    for one, other in halvings(len(generic.units)):
        sides = (np.swapaxes(generic.units[half].mean(0), 0, 1) for half in (one, other))
        left, right = (
            outside(moved, basis(side)) for moved, side in zip((first, second), sides, strict=True)
        )
        found.append(left @ np.swapaxes(right, -1, -2))
    return np.mean(found, axis=0)


@given(seed=st.integers(0, 99), units=st.integers(2, 6), regimes=st.integers(1, 3))
def test_products_are_those_of_the_residuals(seed, units, regimes):
    drawn = np.random.default_rng(seed)
    generic = Generic(drawn.normal(size=(units, regimes, DEPTHS, WIDTH)))
    first, second = drawn.normal(size=(2, DEPTHS, PROBES, WIDTH))
    products = generic.products(first, second)
    assert products == pytest.approx(plainly(generic, first, second))
    assert np.swapaxes(generic.products(second, first), -1, -2) == pytest.approx(products)


def test_units_and_depths_are_left_out_by_number():
    units = np.random.default_rng(0).normal(size=(4, 2, DEPTHS, WIDTH))
    assert Generic(units).without(1).units == pytest.approx(units[[0, 2, 3]])
    assert Generic(units).at([1]).units == pytest.approx(units[:, :, [1]])


def cosine_of(generic, first, second):
    above, one, other = (
        generic.products(*pair).mean() for pair in ((first, second), (first, first), (second, second))
    )
    return above / np.sqrt(one * other)


def a_cast(count, drawn, agreement, generic=4.0, width=400):
    """Mean displacements [regimes, personas, width]: shared directions, and parts of their own."""
    shared = drawn.normal(size=(2, width)) / np.sqrt(width)
    shared[1] = 0.8 * shared[0] + 0.6 * shared[1]
    own, other = drawn.normal(size=(2, count, width)) / np.sqrt(width)
    parts = np.stack([own, agreement * own + np.sqrt(1 - agreement**2) * other])
    return generic * shared[:, None] + parts


def among_controls(cast, first, second):
    """Cosine of two displacements [width]; the controls are all of the cast but the first persona."""
    generic = Generic(np.swapaxes(cast[:, 1:], 0, 1)[:, :, None])
    return cosine_of(generic, first[None, None], second[None, None])


@pytest.mark.parametrize("count", [3, 4, 6, 12])
def test_the_cosine_does_not_depend_on_how_many_personas_there_are(count):
    casts = [a_cast(count, np.random.default_rng(seed), 0.6) for seed in range(60)]
    found = [among_controls(cast, cast[0, 0], cast[1, 0]) for cast in casts]
    assert np.mean(found) == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("count", [4, 6, 12])
def test_what_moves_like_any_persona_and_a_little_at_random_has_none(count):
    """The controls' own parts agree at 0.6; taken away on both sides, they would be seen to agree."""
    found = []
    for seed in range(60):
        drawn = np.random.default_rng(seed)
        cast = a_cast(count, drawn, 0.6)
        anyone = 0.5 * (cast[1] - a_cast(count, np.random.default_rng(seed), 0.6, generic=0.0)[1])[0]
        found.append(among_controls(cast, cast[0, 0], anyone + drawn.normal(size=400) / 40))
    assert abs(np.mean(found)) < 0.08


def test_the_same_controls_on_both_sides_agree_with_themselves():
    """Why the controls are parted: what happens otherwise."""
    found = []
    for seed in range(60):
        drawn = np.random.default_rng(seed)
        cast = a_cast(4, drawn, 0.6)
        anyone = 0.5 * (cast[1] - a_cast(4, np.random.default_rng(seed), 0.6, generic=0.0)[1])[0]
        same = basis(cast[:, 1:].mean(1)[None])
        one, other = (outside(moved[None, None], same)[0, 0] for moved in (cast[0, 0], anyone))
        found.append(one @ other / np.sqrt((one @ one) * (other @ other)))
    assert np.mean(found) > 0.2


@pytest.mark.parametrize("count", range(2, 5))
def test_every_two_controls_are_parted_in_some_way(count):
    ways = halvings(count)
    for one, other in combinations(range(count), 2):
        assert any((one in left) != (other in left) for left, _ in ways)
