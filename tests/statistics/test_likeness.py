import numpy as np
import pytest

from coherence.statistics.likeness import Displacement, Likeness

PROBES, WIDTH = 12, 24
CLUSTERS = [str(row) for row in range(PROBES)]
E = np.eye(WIDTH)  # E[0] is what every persona does


def everywhere(vector, noise=0.0, seed=0):
    """One depth, the same displacement for every probe."""
    return vector + noise * np.random.default_rng(seed).normal(size=(1, PROBES, WIDTH))


def displacement(vector, noise=0.0, seed=0):
    # Two controls that cancel out but for the generic component.
    controls = np.stack([everywhere(E[0] + 0.3 * E[5]), everywhere(E[0] - 0.3 * E[5])])
    return Displacement(everywhere(vector, noise, seed), controls)


def likeness(first, second, noise=0.0):
    bare = np.random.default_rng(9).normal(size=(1, PROBES, WIDTH))
    return Likeness(displacement(first, noise, 1), displacement(second, noise, 2), bare)


def test_the_generic_component_goes_however_often_it_is_held():
    twice = likeness(20 * E[0] + E[1], 10 * E[0] + E[1])
    opposite = likeness(20 * E[0] + E[1], 10 * E[0] - E[1])
    assert twice.specific() == pytest.approx([1])
    assert opposite.raw()[0] > 0.98
    assert opposite.specific() == pytest.approx([-1])


def test_controls_are_compared_without_it_as_well():
    assert likeness(E[1], E[5]).foreign()[:, 0] == pytest.approx([1, -1])


def test_the_corrected_cosine_makes_up_for_noise():
    found = likeness(4 * E[0] + E[1], 2 * E[0] + E[1], noise=0.4)
    assert found.specific()[0] < 0.95
    assert found.compared(CLUSTERS).cosine().value == pytest.approx(1, abs=0.1)
    assert found.ceiling(CLUSTERS, seed=0)[0] == pytest.approx(found.specific()[0], abs=0.1)


def test_what_does_not_move_is_still():
    found = likeness(0 * E[0], E[1])
    assert found.still().tolist() == [[True], [False]]
    assert np.isnan(found.specific()).all()


def test_depths_are_kept_by_number():
    found = likeness(E[1], E[1])
    assert found.at([0]).specific() == pytest.approx(found.specific())
    assert found.at([0]).chance(seed=0).shape == (1,)
