import numpy as np
import pytest

from coherence.statistics.mean_gram import MeanGram
from coherence.statistics.placement import Placement

WIDTH, PROBES, ROLES = 60, 24, 8
CLUSTERS = [f"q{i}" for i in range(PROBES)]
LOW, HIGH = np.append(np.full(ROLES, 1 / ROLES), [0, 0]), np.eye(ROLES + 2)[ROLES]


def placed(at=0.5, aside=1.0, noise=0.5, seed=0, apart=1.0):
    """Roles around 0, a default at 1 of the axis, and somebody `at` a place of it and `aside` of it."""
    drawn = np.random.default_rng(seed)
    axis, side, *others = np.linalg.qr(drawn.normal(size=(WIDTH, ROLES + 2)))[0].T
    roles = np.array(others) - np.mean(others, 0)
    means = np.vstack([0.5 * roles, apart * axis, at * apart * axis + aside * side])
    probes = means[:, None, None] + noise * drawn.normal(size=(len(means), 1, PROBES, WIDTH)) / np.sqrt(WIDTH)
    return Placement(MeanGram.of(probes, CLUSTERS), LOW, HIGH)


def test_roles_stand_at_0_and_the_default_at_1():
    placement = placed()
    assert placement.of(LOW).value == pytest.approx(0, abs=1e-12)
    assert placement.of(HIGH).value == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("at", [-0.5, 0.5, 2])
def test_a_position_is_where_it_was_planted(at):
    position = placed(at).of(np.eye(ROLES + 2)[-1])
    assert position.low <= at <= position.high
    assert position.high - position.low < 0.4


def test_positions_are_within_their_intervals_as_often_as_they_say():
    somebody = np.eye(ROLES + 2)[-1]
    positions = [placed(0.3, noise=1.0, seed=seed).of(somebody) for seed in range(300)]
    assert np.mean([one.low <= 0.3 <= one.high for one in positions]) == pytest.approx(0.95, abs=0.03)


def test_an_axis_that_the_roles_agree_on_is_stable():
    # Halves of the roles lie 0.5 apart on either side, at right angles to it.
    stable = placed().stability()
    assert 0.8 < stable.low < stable.value < 1


def test_where_the_default_is_a_role_there_is_no_axis():
    placement = placed(apart=0.0)
    assert placement.length().low < 0 < placement.length().high
