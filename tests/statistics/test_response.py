import numpy as np
import pytest

from coherence.statistics.intervals import TAIL
from coherence.statistics.response import Response
from coherence.statistics.shape import Logistic, line

PROBES = 6
CLUSTERS = [str(row) for row in range(PROBES)]
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def response(positions, reach=1.0, at=WEIGHTS):
    """Every probe moves along its own start by the same positions, on a line of length 1."""
    line = np.eye(1, 4)[0]
    start = np.random.default_rng(0).normal(size=(PROBES, 4))
    mixed = start + reach * np.array(positions)[:, None, None] * line
    return Response(at, mixed, np.tile(line, (PROBES, 1)), CLUSTERS)


def test_positions_are_scaled_to_the_regimes_own_poles():
    found = response([3.0, 3.5, 4.0, 4.5, 5.0])
    assert [m.value for m in found.position] == pytest.approx(WEIGHTS)
    assert found.separation.value == pytest.approx(2.0)


def test_area_is_above_0_when_the_positive_pole_attracts():
    assert response([0, 1, 1, 1, 1]).area.value == pytest.approx((0.75 + 0.5 + 0.25) / 4)
    assert response([0, 0, 0, 0, 1]).area.value == pytest.approx(-(0.25 + 0.5 + 0.75) / 4)


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
    assert response(positions).tipping.value == pytest.approx(tips)


def test_a_reversed_regime_keeps_its_own_scale():
    found = response(WEIGHTS, reach=-1)
    assert found.separation.value == pytest.approx(-1)
    assert [m.value for m in found.position] == pytest.approx(WEIGHTS)


def test_what_does_not_move_has_no_position():
    found = response([0] * 5)
    assert found.separation.value == pytest.approx(0)
    for undefined in (*found.position, found.area, found.tipping):
        assert np.isnan(undefined.value)
        assert (undefined.low, undefined.high) == (-np.inf, np.inf)


def test_the_pull_of_a_probe_is_its_own_area():
    line = np.eye(1, 4)[0]
    half = np.where(np.arange(PROBES) < 3, 0.2, 0.8)
    mixed = np.stack([0 * half, half, 0 * half + 1])[..., None] * line
    found = Response((0, 0.5, 1), mixed, np.tile(line, (PROBES, 1)), CLUSTERS)
    assert found.position[1].value == pytest.approx(0.5)
    assert found.pull == pytest.approx((half - 0.5) / 2)


def noisy(positions, noise, probes=24, seed=0, at=WEIGHTS):
    drawn = np.random.default_rng(seed)
    line = np.eye(1, 8)[0]
    own = np.array(positions)[:, None] * (1 + noise * drawn.normal(size=(len(at), probes)))
    mixed = own[..., None] * line + 0.1 * noise * drawn.normal(size=(len(at), probes, 8))
    axis = line + noise * drawn.normal(size=(probes, 8))
    return Response(at, mixed, axis, [f"q{i}" for i in range(probes)])


@pytest.mark.parametrize("measure", ["separation", "area", "tipping"])
def test_the_ends_are_doubted_by_one_tail(measure):
    found = getattr(noisy([0, 0.3, 0.6, 0.8, 1], noise=0.3), measure)
    assert found.low < found.value < found.high
    assert (found.doubt(found.low), found.doubt(found.high)) == pytest.approx((TAIL, TAIL), rel=1e-3)
    further = 2 * found.high - found.value
    assert 0 < found.doubt(further) < TAIL


def test_the_tipping_weight_is_covered_about_as_often_as_promised():
    found = [noisy([0, 0.25, 0.5, 0.75, 1], noise=0.3, seed=seed).tipping for seed in range(100)]
    assert sum(one.low <= 0.5 <= one.high for one in found) >= 90


def test_a_tipping_weight_beyond_the_weights_is_refused():
    found = noisy([0, 0.3, 0.6, 0.8, 1], noise=0.3).tipping
    assert found.doubt(-0.5) == pytest.approx(found.doubt(0.0))
    assert found.doubt(1.5) == pytest.approx(found.doubt(1.0))
    assert found.doubt(0.0) < TAIL


def test_the_smallest_step_is_per_unit_of_weight():
    assert response([0, 0.2, 1], at=(0.0, 0.5, 1.0)).smallest_step.value == pytest.approx(0.4)
    assert response([0, 0.6, 0.3, 0.6, 1]).smallest_step.value == pytest.approx(-1.2)
    assert response(WEIGHTS).smallest_step.value == pytest.approx(1)


def test_steepness_tells_a_switch_from_a_slide():
    assert response([0, 0, 0.5, 1, 1]).steepness.value > 0.05
    assert response(WEIGHTS).steepness.value < -0.02
    assert np.isnan(response([0] * 5).steepness.value)


def test_steepness_is_that_of_curves_fitted_anew_without_each_cluster():
    found = noisy([0, 0.1, 0.6, 0.9, 1], noise=0.2)
    positions = found._positions
    anew = []
    for m in positions:
        at = np.array(WEIGHTS)
        errors = [np.sqrt(np.mean((shape(at) - m) ** 2)) for shape in (line(at, m), Logistic.nearest(at, m))]
        anew.append(errors[0] - errors[1])
    expected = found._jackknife.around(anew[0], np.array(anew)).interval
    told = found.steepness
    assert (told.value, told.low, told.high) == pytest.approx(
        (expected.value, expected.low, expected.high), abs=5e-3
    )


def test_a_gap_is_between_positions_at_the_same_weight():
    one, other = response([0, 0.5, 1], at=(0.0, 0.5, 1.0)), response([0, 0.4, 0.7, 0.9, 1], reach=3.0)
    assert one.gap(other, 0.5).value == pytest.approx(-0.2)
    assert other.gap(one, 0.5).value == pytest.approx(0.2)


def test_a_gap_of_noise_is_covered_about_as_often_as_promised():
    found = [
        noisy(WEIGHTS, noise=0.3, seed=seed).gap(noisy(WEIGHTS, noise=0.3, seed=seed + 1000), 0.5)
        for seed in range(100)
    ]
    assert sum(one.low <= 0 <= one.high for one in found) >= 90


def test_an_axis_of_noise_is_not_told_from_none():
    drawn = np.random.default_rng(3)
    mixed = drawn.normal(size=(3, 24, 8))
    clusters = [f"q{row}" for row in range(24)]
    assert Response((0, 0.5, 1), mixed, drawn.normal(size=(24, 8)), clusters).axis.low <= 0
    assert noisy(WEIGHTS, noise=0.3).axis.low > 0
    assert response(WEIGHTS).axis.value == pytest.approx(1)
