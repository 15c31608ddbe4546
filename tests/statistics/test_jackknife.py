import warnings
from dataclasses import replace
from math import inf, isnan, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t, ttest_1samp

from coherence.statistics import jackknife
from coherence.statistics.intervals import TAIL
from coherence.statistics.jackknife import Jackknife, Pivot, either, ratio_of_means, smallest

samples = arrays(np.float64, st.integers(3, 12), elements=st.floats(-100, 100)).filter(
    lambda v: v.std() > 1e-3
)


def singles(n):
    return [f"q{i}" for i in range(n)]


def mean(values, clusters=None):
    """Pivot of a mean: a ratio whose denominator is 1 in every sample."""
    jackknife = Jackknife(clusters or singles(len(values)))
    above = (jackknife.weights @ values)[:, None]
    return jackknife.ratio(above, np.ones_like(above))


def ratio(above, below):
    jackknife = Jackknife(singles(len(above)))
    return jackknife.ratio(*((jackknife.weights @ side)[:, None] for side in (above, below)))


@given(samples, st.floats(-200, 200))
def test_of_a_mean_it_is_the_t_test(values, bound):
    found, theirs = mean(values), ttest_1samp(values, bound)
    assume(theirs.pvalue > 1e-12)
    assert found.doubt(bound) == pytest.approx(theirs.pvalue / 2, rel=1e-6)
    low, high = theirs.confidence_interval()
    assert found.limits() == pytest.approx((low, high), abs=1e-9, rel=1e-6)


@given(samples)
def test_influences_are_of_the_clusters_and_their_squares_are_the_variance(values):
    found = mean(values).influence
    assert list(found.clusters) == sorted(singles(len(values)))
    assert found.added == 0
    assert found.freedom == pytest.approx(len(values) - 1)
    variance = sum(each**2 for each in found.clusters.values())
    assert variance == pytest.approx(values.var(ddof=1) / len(values), rel=0.02)
    apart = values - values.mean()
    for name, each in zip(singles(len(values)), apart, strict=True):
        assert found.clusters[name] == pytest.approx(
            each / sqrt(len(values) * (len(values) - 1)), rel=0.01, abs=1e-9
        )


def test_of_a_ratio_they_are_those_of_its_linearisation():
    above, below = np.random.default_rng(4).uniform(1, 2, (2, 12))
    found = ratio(above, below)
    expected = (above - found.value * below) / below.mean() / sqrt(12 * 11)
    assert list(found.influence.clusters.values()) == pytest.approx(
        [expected[singles(12).index(name)] for name in found.influence.clusters], rel=0.01
    )


def test_what_stands_for_unseen_probes_belongs_to_no_cluster():
    jackknife = Jackknife(singles(4), added=2)
    found = jackknife.around(0.5, jackknife.weights @ np.array([1, 0, 1, 0, 1, 0])).influence
    assert list(found.clusters) == singles(4)
    assert found.added == pytest.approx(sqrt(2) / 12, rel=0.01)
    shown, added = 4 / 144 * 4 / 3, 2 / 144  # of the variance; both parts are known to 3 degrees of freedom
    assert found.freedom == pytest.approx(3 * (shown + added) ** 2 / (shown**2 + added**2))


def test_what_stands_for_unseen_probes_does_not_make_the_sample_larger():
    assert Jackknife(singles(8), added=4).size == pytest.approx(8)
    unknown = Jackknife(["t"] * 8, added=4)
    assert not unknown.around(0.5, unknown.weights @ np.arange(12.0)).known


def test_a_probe_that_weighs_as_three_counts_as_three_in_one_cluster():
    values = np.random.default_rng(0).normal(size=9)
    weighed, repeated = Jackknife(singles(8), 1, 3.0), Jackknife([*singles(8), *["r"] * 3])
    assert weighed.weights @ values == pytest.approx(repeated.weights @ np.repeat(values, [1] * 8 + [3]))


def test_added_probes_weigh_as_much_as_the_clusters_answers_repeat_themselves():
    kinds, templates = np.array([[1.0], [0.0]]), [f"t{i // 4}" for i in range(24)]
    alike, mixed = np.repeat([1.0, 1, 0, 1, 0, 0], 4), np.tile([1.0, 0, 1, 0, 1, 0, 1, 1], 3)
    heavy, light, alone = (
        Jackknife.enlarged(answers[:, None], kinds, clusters)[1].weights[0][-1] * 24
        for answers, clusters in ((alike, templates), (mixed, templates), (alike, singles(24)))
    )
    assert heavy == pytest.approx(4 * 24 / 32)
    assert alone == pytest.approx(24 / 26)
    assert alone < light < heavy


def test_probes_drawn_one_by_one_have_no_design_effect():
    table = np.random.default_rng(0).random((24, 2))
    assert Jackknife(singles(24)).design_effect(table) == pytest.approx(1)
    assert Jackknife([f"t{i // 3}" for i in range(24)]).design_effect(
        np.repeat(table[:8], 3, 0)
    ) == pytest.approx(3)


@given(samples)
def test_the_smallest_of_several_has_the_influences_of_its_own(values):
    one, two = mean(values), mean(values[::-1] + 1)
    assert smallest([two, one]).influence == one.influence
    assert either(one, two).influence == one.influence


def test_without_a_spread_there_is_no_influence():
    assert mean(np.array([1.0, 2.0]), ["a", "a"]).influence is None


pivots = st.builds(
    Pivot,
    value=st.floats(-3, 3),
    spread=st.floats(1e-4, 1),
    shared=st.just(0.0),
    below=st.floats(0, 0.5),
    freedom=st.integers(1, 60),
    curvature=st.floats(-1, 1),
)


@given(pivots)
def test_the_ends_are_doubted_by_one_tail(pivot):
    low, high = pivot.limits()
    assert low < pivot.value < high
    for end in (low, high):
        if np.isfinite(end):
            assert pivot.doubt(end) == pytest.approx(TAIL, rel=1e-6)


@given(pivots, st.just(0.0) | st.floats(0, 5), st.floats(0, 5))
def test_a_bound_further_away_is_never_less_doubtful(pivot, near, further):
    for side in (-1, 1):
        assert pivot.doubt(pivot.value + side * near) >= pivot.doubt(
            pivot.value + side * (near + further)
        ) * (1 - 1e-9)


def test_doubt_goes_on_far_beyond_what_resamples_could_tell():
    found = mean(np.random.default_rng(0).normal(size=64))
    assert 0 < found.doubt(3) < 1e-20


def test_fieller_agrees_with_the_textbook():
    drawn = np.random.default_rng(0)
    above, below = drawn.normal(2, 1, size=20), drawn.normal(4, 1, size=20)
    cov, n = np.cov(above, below) / 20, 20
    (a, b), q = (above.mean(), below.mean()), t.ppf(1 - TAIL, n - 1)
    roots = np.roots([b**2 - q**2 * cov[1, 1], -2 * (a * b - q**2 * cov[0, 1]), a**2 - q**2 * cov[0, 0]])
    assert ratio(above, below).limits() == pytest.approx(tuple(sorted(roots)))


def test_a_denominator_that_may_be_0_refuses_no_bound():
    found = ratio(np.arange(1.0, 9.0), np.array([3.0, -2, 1, -1, 2, -3, 1, 0]))
    assert found.limits() == (-inf, inf)
    assert found.doubt(1e9) > TAIL


def test_a_sum_of_ratios_is_tested_as_one():
    drawn = np.random.default_rng(0).normal(2, 1, size=(2, 3, 24))
    jackknife = Jackknife(singles(24))
    above, below = (jackknife.weights @ side.T for side in drawn)
    found = jackknife.ratio(above, below)
    each = (above / below).sum(1)
    direct = np.sqrt(23 / 24 * np.square(each[1:] - each[1:].mean()).sum())
    assert found.value == pytest.approx(each[0])
    assert sqrt(found.spread) == pytest.approx(direct, rel=0.1)


def test_clusters_that_repeat_themselves_count_once():
    values = np.random.default_rng(0).normal(size=6)
    repeated = mean(np.repeat(values, 4), [f"t{i // 4}" for i in range(24)])
    assert repeated.limits() == pytest.approx(mean(values).limits())


def test_the_size_of_unequal_clusters_is_less_than_their_number():
    assert Jackknife(["a"] * 9 + ["b", "c", "d"]).size < 2
    assert Jackknife(["a", "a", "b", "b"]).size == pytest.approx(2)


@pytest.mark.parametrize("clusters", [["t"] * 4, ["only"]])
def test_a_single_cluster_knows_nothing_and_warns_of_nothing(clusters):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mean(np.arange(len(clusters), dtype=float), clusters)
        assert found.limits() == (-inf, inf)
        assert found.doubt(100) == 1
    assert found.value == pytest.approx((len(clusters) - 1) / 2)


def test_what_is_undefined_without_some_cluster_keeps_its_value_only():
    jackknife = Jackknife(singles(4))
    above = np.array([2.0, 2, 2, 2, np.nan])[:, None]
    found = jackknife.ratio(above, np.ones_like(above))
    assert (found.value, *found.limits()) == (2, -inf, inf)
    assert isnan(jackknife.ratio(above, np.zeros_like(above)).value)


def test_a_constant_has_no_width():
    found = mean(np.ones(8))
    assert found.limits() == (1, 1)
    assert (found.doubt(1), found.doubt(0.9)) == (0.5, 0)


@given(st.lists(pivots, min_size=1, max_size=4), st.floats(-4, 4))
def test_the_smallest_is_bounded_by_all_of_them(several, bound):
    found = smallest(several)
    assert found.value == min(pivot.value for pivot in several)
    assert found.low <= found.value <= found.high
    assert found.low == min(pivot.limits()[0] for pivot in several)
    if np.isfinite(found.high):
        assert found.doubt(found.high) == pytest.approx(TAIL, rel=1e-6)
    assert 0 <= found.doubt(bound) <= 1


@given(pivots, pivots, st.floats(-4, 4))
def test_either_refuses_only_what_both_refuse(first, second, bound):
    found = either(first, second)
    assert found.low <= min(first.limits()[0], second.limits()[0]) <= found.value == first.value
    assert found.high >= max(first.limits()[1], second.limits()[1])
    assert found.doubt(bound) >= first.doubt(bound)
    for end in (found.low, found.high):
        if np.isfinite(end) and end != found.value:
            assert found.doubt(end) == pytest.approx(TAIL, rel=1e-6)


def test_the_smallest_of_one_is_itself():
    pivot = mean(np.random.default_rng(0).normal(size=12))
    assert smallest([pivot]) == pivot.interval


def test_the_smallest_with_one_unknown_is_unknown():
    found = smallest([mean(np.arange(4.0)), Pivot.unknown(np.nan)])
    assert isnan(found.value)
    assert (found.low, found.high, found.doubt(0)) == (-inf, inf, 1)


def test_a_ratio_of_means_is_one_of_sums_and_no_mean_of_ratios():
    above, below = np.array([[1.0, 2.0, 6.0, 1.0]]), np.array([[1.0, 4.0, 4.0, 1.0]])
    found = ratio_of_means(above, below, ["a", "b", "c", "d"])
    assert found.value == pytest.approx(1.0)
    assert found.low < 1 < found.high
    twice = ratio_of_means(np.vstack([above, above]), np.vstack([below, below]), ["a", "b", "c", "d"])
    assert twice.value == pytest.approx(2.0)


def squared(values):
    """Pivot of the square of a mean, without the noise of the mean."""
    jackknife = Jackknife(singles(len(values)))

    def terms(weights):
        of_pairs = (weights @ values) ** 2 - weights**2 @ values**2
        return (of_pairs / (1 - np.square(weights).sum(1)))[:, None], np.ones((len(weights), 1))

    return jackknife.curved(terms)


def test_the_square_of_a_mean_is_curved_and_the_mean_is_not():
    values = np.random.default_rng(0).normal(1, 1, size=40)
    error = values.std(ddof=1) / sqrt(40)
    assert squared(values).curvature == pytest.approx(error / values.mean(), rel=0.1)
    assert squared(-values).curvature == pytest.approx(squared(values).curvature)
    assert mean(values).curvature == 0


def test_both_tails_of_what_is_curved_are_missed_about_alike():
    drawn = np.random.default_rng(0).normal(0.6, 1, size=(1500, 16))
    doubts = {0.0: [], None: []}
    for values in drawn:
        pivot = squared(values)
        for curvature, found in doubts.items():
            judged = pivot if curvature is None else replace(pivot, curvature=curvature)
            found.append((judged.value > 0.36, judged.doubt(0.36)))
    missed = {
        key: [np.mean([above is side and p < TAIL for above, p in found]) for side in (False, True)]
        for key, found in doubts.items()
    }
    assert max(missed[None]) < 0.7 * max(missed[0.0])


def test_few_clusters_have_no_curvature():
    values = np.random.default_rng(0).normal(1, 1, size=8)
    assert squared(values).curvature != 0
    assert squared(values[:6]).curvature == 0


def test_a_curvature_is_that_of_the_clusters():
    values = np.random.default_rng(0).normal(1, 1, size=8)

    def curvature(values, clusters):
        jackknife = Jackknife(clusters)
        means = jackknife.weights @ values
        influence = jackknife.influence(means)
        return jackknife.curvature(influence, lambda weights: (weights @ values) ** 2)

    repeated = curvature(np.repeat(values, 3), [f"t{i // 3}" for i in range(24)])
    assert repeated == pytest.approx(curvature(values, singles(8)))
    assert repeated > 0


def test_clusters_count_once_in_a_mean():
    values = np.repeat([1.0, 2, 4, 8], 4)
    apart = jackknife.mean(values, [str(row) for row in range(16)])
    together = jackknife.mean(values, [str(row // 4) for row in range(16)])
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


@given(arrays(np.float64, 8, elements=st.floats(1e-6, 1e3)))
def test_a_positive_mean_is_the_same_in_every_unit(values):
    found, scaled = (jackknife.positive_mean(scale * values, singles(8)) for scale in (1, 10))
    assert found.value == pytest.approx(values.mean())
    assert 0 < found.low <= found.value * (1 + 1e-9) <= found.high * (1 + 2e-9)
    assert (scaled.low, scaled.high) == pytest.approx((10 * found.low, 10 * found.high))
    assert found.low * found.high >= found.value**2 * (1 - 1e-9)
    assert found.doubt(0) == 0


@given(arrays(np.float64, 8, elements=st.floats(1e-3, 1e3)).filter(lambda values: values.std() > 1e-3))
def test_the_ends_of_a_positive_mean_are_doubted_as_they_say(values):
    found = jackknife.positive_mean(values, singles(8))
    assert found.doubt(found.high) == pytest.approx(TAIL, rel=1e-4)
    assert found.doubt(found.low) == pytest.approx(TAIL, rel=1e-4)
    assert found.doubt(2 * found.high) < TAIL < found.doubt((found.value + found.high) / 2)


@pytest.mark.parametrize(("sd", "n", "most"), [(1.0, 16, 0.03), (1.0, 24, 0.03), (1.5, 16, 0.05)])
def test_few_intervals_of_a_positive_mean_lie_below_the_truth_of_a_long_tail(sd, n, most):
    values = np.random.default_rng(0).lognormal(sigma=sd, size=(800, n))
    found = [jackknife.positive_mean(sample, singles(n)) for sample in values]
    truth = np.exp(sd**2 / 2)
    assert np.mean([each.high < truth for each in found]) < most
    assert np.mean([each.low > truth for each in found]) < 0.03


def test_of_values_that_are_alike_a_positive_mean_is_sure():
    found = jackknife.positive_mean(np.full(8, 0.3), singles(8))
    assert (found.low, found.high) == pytest.approx((0.3, 0.3))


def test_a_positive_mean_that_one_probe_makes_reaches_beyond_it():
    found = jackknife.positive_mean(np.eye(24)[0], singles(24))
    assert found.low < found.value == pytest.approx(1 / 24)
    assert found.high > 1
    tiny = jackknife.positive_mean(1e-9 * np.eye(24)[0], singles(24))
    assert tiny.high < 1e-8


def test_of_one_cluster_a_positive_mean_knows_nothing():
    found = jackknife.positive_mean(np.arange(1.0, 9), ["t"] * 8)
    assert (found.low, found.high) == (-inf, inf)


def test_clusters_widen_a_positive_mean():
    values = np.repeat([1.0, 2, 4, 8, 3, 5], 4)
    apart = jackknife.positive_mean(values, singles(24))
    together = jackknife.positive_mean(values, [str(row // 4) for row in range(24)])
    assert together.high > 1.2 * apart.high


@given(arrays(np.float64, 12, elements=st.floats(0.01, 10)), arrays(np.float64, 12, elements=st.floats(1, 2)))
def test_a_positive_ratio_holds_all_that_the_plain_one_does(above, below):
    plain = ratio_of_means(above[None], below[None], singles(12))
    found = jackknife.positive_ratio(above, below, singles(12))
    assert found.value == pytest.approx(plain.value)
    assert found.low <= plain.low + 1e-9
    assert found.high >= plain.high - 1e-9


def test_few_intervals_of_a_positive_ratio_lie_below_the_truth_of_a_long_tail():
    draws = np.random.default_rng(0).lognormal(sigma=[[[1.0]], [[0.7]]], size=(2, 600, 24))
    truth = np.exp((1.0**2 - 0.7**2) / 2)
    missed = {
        how: np.mean([ratio(above, below).high < truth for above, below in zip(*draws, strict=True)])
        for how, ratio in {
            "plain": lambda above, below: ratio_of_means(above[None], below[None], singles(24)),
            "positive": lambda above, below: jackknife.positive_ratio(above, below, singles(24)),
        }.items()
    }
    assert missed["positive"] < 0.025 < missed["plain"]


def test_a_positive_ratio_of_nothing_has_no_value():
    assert isnan(jackknife.positive_ratio(np.ones(8), np.zeros(8), singles(8)).value)


def test_a_mean_of_zeros_is_zero():
    found = jackknife.positive_mean(np.zeros(8), singles(8))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_a_mean_cosine_mirrors_the_distance_from_one():
    values = 1 - np.random.default_rng(0).lognormal(-3, 1, size=12)
    cosine, apart = (
        mean(sample, singles(12))
        for mean, sample in ((jackknife.mean_cosine, values), (jackknife.positive_mean, 1 - values))
    )
    assert cosine.value == pytest.approx(values.mean())
    assert (cosine.low, cosine.high) == (1 - apart.high, 1 - apart.low)
    assert cosine.value - cosine.low > cosine.high - cosine.value
    assert cosine.doubt(cosine.low) == pytest.approx(TAIL, rel=1e-6)
    assert cosine.influence == jackknife.mean(values, singles(12)).influence
