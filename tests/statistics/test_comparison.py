import numpy as np
import pytest

from coherence.statistics.comparison import Comparison
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


def compared(first, *others, clusters=SINGLES):
    return Comparison(first[None], np.stack(others)[:, None], clusters)


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


def test_depths_are_averaged():
    one, two = two_sides(0.9, noise=0.5), two_sides(0.3, noise=0.5, seed=1)
    both = Comparison(np.stack([one[0], two[0]]), np.stack([one[1], two[1]])[None], SINGLES).cosine()
    assert both.value == pytest.approx((compared(*one).cosine().value + compared(*two).cosine().value) / 2)


def test_the_margin_is_over_the_best_foreign_one():
    first, own = two_sides(0.9, noise=0.3)
    near, far = two_sides(0.5, noise=0.3)[1], two_sides(0.1, noise=0.3)[1]
    found = compared(first, own, far, near)
    closest = compared(first, near).cosine().value
    assert found.margin().value == pytest.approx(found.cosine().value - closest)
    assert found.margin().low < found.margin().value < found.margin().high


def test_two_that_are_the_same_leave_no_margin():
    first, own = two_sides(0.9, noise=0.3)
    found = compared(first, own, own).margin()
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
    found = compared(first, np.zeros_like(first), second)
    assert np.isnan(found.cosine().value)
    assert np.isnan(found.margin().value)
    assert ends(found.margin()) == (-np.inf, np.inf)
