import numpy as np
import pytest

from coherence.statistics.intervals import uniform
from coherence.statistics.response import Response

PROBES = 6
CLUSTERS = [str(row) for row in range(PROBES)]
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def response(positions, reach=1.0, at=WEIGHTS):
    """Every probe moves along its own start by the same positions, on a line of length 1."""
    line = np.eye(1, 4)[0]
    start = np.random.default_rng(0).normal(size=(PROBES, 4))
    mixed = start + reach * np.array(positions)[:, None, None] * line
    return Response.of(at, mixed, np.tile(line, (PROBES, 1)), CLUSTERS)


def test_positions_are_scaled_to_the_regimes_own_poles():
    found = response([3.0, 3.5, 4.0, 4.5, 5.0])
    assert found.position(uniform(PROBES))[0] == pytest.approx(WEIGHTS)
    assert found.position_at(1, uniform(PROBES)) == pytest.approx([0.25])
    assert found.separation(uniform(PROBES)) == pytest.approx([2.0])


def test_area_is_above_0_when_the_positive_pole_attracts():
    assert response([0, 1, 1, 1, 1]).area(uniform(PROBES)) == pytest.approx([(0.75 + 0.5 + 0.25) / 4])
    assert response([0, 0, 0, 0, 1]).area(uniform(PROBES)) == pytest.approx([-(0.25 + 0.5 + 0.75) / 4])


@pytest.mark.parametrize(
    ("positions", "tips"),
    [
        ([0, 0.25, 0.5, 0.75, 1], 0.5),
        ([0, 1, 1, 1, 1], 0.125),
        ([0, 0, 0, 0, 1], 0.875),
        ([0, 0.6, 0.3, 0.6, 1], 0.25 * 0.5 / 0.6),
        ([0, 1.5, 0, 0, 1], 0.25 / 3),
    ],
)
def test_it_tips_where_it_first_reaches_one_half(positions, tips):
    assert response(positions).tipping(uniform(PROBES)) == pytest.approx([tips])


def test_a_reversed_regime_keeps_its_own_scale():
    found = response(WEIGHTS, reach=-1)
    assert found.separation(uniform(PROBES)) == pytest.approx([-1])
    assert found.position(uniform(PROBES))[0] == pytest.approx(WEIGHTS)


def test_what_does_not_move_has_no_position():
    found = response([0] * 5)
    assert found.separation(uniform(PROBES)) == pytest.approx([0])
    assert np.isnan(found.position(uniform(PROBES))).all()
    assert np.isnan(found.tipping(uniform(PROBES))).all()


def test_weights_of_probes_are_heeded():
    line = np.eye(1, 4)[0]
    half = np.where(np.arange(PROBES) < 3, 0.2, 0.8)
    mixed = np.stack([0 * half, half, 0 * half + 1])[..., None] * line
    found = Response.of((0, 0.5, 1), mixed, np.tile(line, (PROBES, 1)), CLUSTERS)
    drawn = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]) / 3
    assert found.position(drawn)[:, 1] == pytest.approx([0.2, 0.8])
    assert found.pull() == pytest.approx((half - 0.5) / 2)
