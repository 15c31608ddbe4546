import numpy as np
import pytest

from coherence.statistics.alignment import Alignment
from coherence.statistics.geometry import cosine, split_half_reliability
from coherence.statistics.intervals import TAIL

WIDTH, PROBES = 64, 24
SINGLES = [f"q{i}" for i in range(PROBES)]
TEMPLATES = [f"t{i // 3}" for i in range(PROBES)]


def two_sides(cos, noise, shared=0.0, seed=0):
    """Per-probe vectors of two sides whose true directions have length 1 and the given cosine."""
    drawn = np.random.default_rng(seed)
    axis, side = np.linalg.qr(drawn.normal(size=(WIDTH, 2)))[0].T
    common, one, two = drawn.normal(size=(3, PROBES, WIDTH)) / np.sqrt(WIDTH)
    return (
        axis + noise * one + shared * common,
        cos * axis + np.sqrt(1 - cos**2) * side + noise * two + shared * common,
    )


def compared(first, second, clusters=SINGLES):
    return Alignment.of(first[None], second[None], clusters)


def test_the_cosine_is_the_plain_one_divided_by_its_ceiling():
    first, second = two_sides(0.8, noise=1)
    ceiling = np.sqrt(split_half_reliability(first, 0) * split_half_reliability(second, 0))
    found = compared(first, second).cosine()
    assert found.value == pytest.approx(cosine(first.mean(0), second.mean(0)) / ceiling, abs=0.02)
    assert found.low < found.value < found.high
    assert (found.doubt(found.low), found.doubt(found.high)) == pytest.approx((TAIL, TAIL))


def test_noise_that_both_sides_share_does_not_count_as_agreement():
    found = [compared(*two_sides(0.2, noise=1, shared=3, seed=seed)).cosine().value for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.2, abs=0.08)


def test_the_true_cosine_is_covered_about_as_often_as_promised():
    found = [compared(*two_sides(0.8, noise=2, seed=seed)).cosine() for seed in range(200)]
    assert sum(one.low <= 0.8 <= one.high for one in found) >= 184


def at_two_depths(one, other):
    return Alignment.of(np.stack([one[0], other[0]]), np.stack([one[1], other[1]]), SINGLES)


def test_depths_are_averaged_and_each_is_there():
    one, two = two_sides(0.9, noise=0.5), two_sides(0.3, noise=0.5, seed=1)
    both, apart = at_two_depths(one, two), [compared(*side).cosine() for side in (one, two)]
    assert both.cosine().value == pytest.approx(np.mean([each.value for each in apart]))
    assert [each.value for each in both.cosines()] == pytest.approx([each.value for each in apart])
    assert both.at([1]).cosine().value == pytest.approx(apart[1].value)


def test_the_least_cosine_is_that_of_the_worst_depth():
    found = at_two_depths(two_sides(0.9, noise=0.5), two_sides(0.3, noise=0.5, seed=1)).least_cosine()
    assert found.value == pytest.approx(compared(*two_sides(0.3, noise=0.5, seed=1)).cosine().value)
    assert found.low < 0.3 < found.high < 0.9


@pytest.mark.parametrize("size", [-1, 0, 0.01, 0.5, 2])
def test_strength_is_how_far_the_second_goes_along_the_first(size):
    first, second = two_sides(0.8, noise=0.5)
    found = compared(first, size * second).strength()
    assert found.value == pytest.approx(0.8 * size, abs=0.06 * abs(size))
    assert found.low <= 0.8 * size <= found.high


def test_the_interval_of_strength_covers_about_as_often_as_promised():
    found = [compared(*two_sides(0.8, noise=2, seed=seed)).strength() for seed in range(200)]
    assert sum(one.low <= 0.8 <= one.high for one in found) >= 184


def test_what_does_nothing_has_no_strength():
    first, _ = two_sides(0.8, noise=1)
    found = compared(first, np.zeros_like(first))
    assert found.strength().value == 0
    assert np.isnan(compared(np.zeros_like(first), first).strength().value)


def test_the_lead_is_over_the_best_other():
    first, own = two_sides(0.9, noise=0.3)
    near, far = two_sides(0.5, noise=0.3)[1], two_sides(0.1, noise=0.3)[1]
    judged, others = compared(first, own), [compared(first, other) for other in (far, near)]
    found = judged.lead(others)
    assert found.value == pytest.approx(judged.cosine().value - others[1].cosine().value)
    assert found.low < found.value < found.high


def test_two_that_are_the_same_leave_no_lead():
    first, own = two_sides(0.9, noise=0.3)
    found = compared(first, own).lead([compared(first, own)])
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_templates_are_less_certain():
    first, second = (np.repeat(side[::3], 3, axis=0) for side in two_sides(0.8, noise=1))
    single, clustered = compared(first, second), compared(first, second, clusters=TEMPLATES)
    assert np.ptp(ends(clustered.cosine())) > 1.3 * np.ptp(ends(single.cosine()))


def ends(found):
    return found.low, found.high


@pytest.mark.parametrize("clusters", [["t"] * PROBES, ["t"] * 12 + ["u"] * 12])
def test_too_few_clusters_say_nothing(clusters):
    assert ends(compared(*two_sides(0.8, noise=1), clusters=clusters).cosine()) == (-np.inf, np.inf)


def test_a_direction_that_is_not_there_has_no_cosine():
    first, second = two_sides(0.8, noise=1)
    judged = compared(first, np.zeros_like(first))
    assert np.isnan(judged.cosine().value)
    lead = judged.lead([compared(first, second)])
    assert np.isnan(lead.value)
    assert ends(lead) == (-np.inf, np.inf)
