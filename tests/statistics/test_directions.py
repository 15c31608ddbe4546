import numpy as np
import pytest

from coherence.statistics.directions import Directions
from coherence.statistics.geometry import cosine

PERSONAS, DEPTHS, PROBES, WIDTH = 4, 3, 12, 32
CLUSTERS = [f"q{i}" for i in range(PROBES)]


@pytest.fixture
def directions():
    first, second = np.random.default_rng(0).normal(size=(2, PERSONAS, DEPTHS, PROBES, WIDTH)) + 1
    return Directions(first, second, np.random.default_rng(1).normal(size=(DEPTHS, PROBES, WIDTH)))


def test_leaving_a_persona_out_of_its_own_mean_gives_the_same_direction(directions):
    left_out = directions.first[0] - directions.first[1:].mean(0)
    assert cosine(directions.specific[0][0], left_out) == pytest.approx(1)


def test_what_all_personas_share_is_not_specific(directions):
    common = 10 * np.random.default_rng(2).normal(size=WIDTH)
    moved = Directions(directions.first + common, directions.second + common, directions.bare)
    assert moved.raw_cosine() == pytest.approx(1, abs=0.02)
    assert moved.cosines() == pytest.approx(directions.cosines())


def test_the_comparison_is_that_of_the_means_but_for_noise():
    drawn = np.random.default_rng(3)
    true = drawn.normal(size=(2, PERSONAS, DEPTHS, 1, WIDTH))
    first, second = true + 0.1 * drawn.normal(size=(2, PERSONAS, DEPTHS, PROBES, WIDTH))
    directions = Directions(first, second, drawn.normal(size=(DEPTHS, PROBES, WIDTH)))
    comparison, cosines = directions.compared(CLUSTERS), directions.cosines().mean(-1)
    assert comparison.cosine().value == pytest.approx(cosines[0], abs=0.01)
    assert comparison.margin().value == pytest.approx(cosines[0] - cosines[1:].max(), abs=0.01)


def test_depths_are_chosen_by_their_number(directions):
    chosen = directions.at([2, 0])
    np.testing.assert_array_equal(chosen.cosines(), directions.cosines()[:, [2, 0]])
    np.testing.assert_array_equal(chosen.bare, directions.bare[[2, 0]])


def test_a_persona_that_moves_nothing_is_still(directions):
    directions.second[2, 1] = 1e-8
    assert np.argwhere(directions.still()).tolist() == [[1, 2, 1]]
