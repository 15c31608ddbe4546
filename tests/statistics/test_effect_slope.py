from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.statistics.effect_slope import Effects, effect_slope

SHARE = 0.93


def singles(n):
    return [f"q{i}" for i in range(n)]


def drawn(seed, probes=16, share=SHARE, between=0.1, noise=0.3, per_cluster=1):
    """Effects with long tails, and a form that has a share of them which differs by cluster."""
    random = np.random.default_rng(seed)
    reference, form = [], []
    for number in range(probes):
        if number % per_cluster == 0:
            of_cluster = share + between * random.normal()
        tokens = random.integers(8, 25)
        reference.append(random.standard_t(3, tokens) + 0.5)
        form.append(of_cluster * reference[-1] + noise * random.standard_t(4, tokens))
    return form, reference, [f"c{number // per_cluster}" for number in range(probes)]


shares = st.floats(-20, 20)


@given(shares, st.integers(0, 100))
def test_a_form_with_a_share_of_the_effect_has_that_slope_and_is_sure_of_it(share, seed):
    _, reference, clusters = drawn(seed)
    found = effect_slope([share * one for one in reference], reference, clusters)
    assert (found.value, found.low, found.high) == pytest.approx((share,) * 3, abs=1e-9)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(0, 100))
def test_the_cosine_knows_no_size_and_the_slope_is_that_of_the_sizes(up, down, seed):
    form, reference, clusters = drawn(seed)
    found = Effects.of(form, reference, clusters)
    scaled = Effects.of([up * one for one in form], [down * one for one in reference], clusters)
    assert scaled.slope.value == pytest.approx(found.slope.value * up / down)
    assert scaled.slope.high == pytest.approx(found.slope.high * up / down)
    assert scaled.cosine.value == pytest.approx(found.cosine.value)
    assert scaled.cosine.low == pytest.approx(found.cosine.low)


def test_it_is_the_least_squares_line_through_the_origin_over_all_tokens():
    form, reference, clusters = drawn(0)
    line = np.linalg.lstsq(np.concatenate(reference)[:, None], np.concatenate(form), rcond=None)[0]
    assert effect_slope(form, reference, clusters).value == pytest.approx(line.item())


@pytest.mark.parametrize("probes", [8, 24])
@pytest.mark.parametrize("per_cluster", [1, 2])
def test_the_interval_holds_the_share_as_often_as_it_says(probes, per_cluster):
    held = 0
    for seed in range(400):
        found = effect_slope(*drawn(seed, probes * per_cluster, per_cluster=per_cluster))
        held += found.low <= SHARE <= found.high
    assert 0.92 <= held / 400 <= 0.995


def test_probes_of_one_cluster_are_not_taken_for_as_many():
    form, reference, clusters = drawn(3, probes=32, per_cluster=4, noise=0.0)
    together, apart = (effect_slope(form, reference, names) for names in (clusters, singles(32)))
    assert together.value == apart.value
    assert together.high - together.low > 1.3 * (apart.high - apart.low)


def test_another_effect_of_the_same_size_has_neither_slope_nor_cosine():
    random = np.random.default_rng(1)
    form, reference = ([random.normal(size=24) for _ in range(24)] for _ in range(2))
    found = Effects.of(form, reference, singles(24))
    for interval in (found.slope, found.cosine):
        assert interval.low < 0 < interval.high
        assert interval.high < 0.2


def test_the_same_effect_with_noise_is_told_from_itself_by_its_cosine_alone():
    random = np.random.default_rng(2)
    reference = [random.normal(size=24) for _ in range(24)]
    noisy = [one + random.normal(size=24) for one in reference]
    found = Effects.of(noisy, reference, singles(24))
    assert found.slope.low < 1 < found.slope.high
    assert found.cosine.low < np.sqrt(0.5) < found.cosine.high
    assert found.cosine.high < 0.8


def test_a_cosine_is_not_above_1():
    reference = [np.arange(1.0, number + 3) for number in range(8)]
    found = Effects.of([2 * one for one in reference], reference, singles(8)).cosine
    assert (found.value, found.high) == pytest.approx((1, 1))
    assert found.high <= 1


def test_a_probe_without_tokens_adds_nothing():
    form, reference, clusters = drawn(0)
    found = Effects.of(form, reference, clusters)
    nothing = np.zeros(0, np.float32)
    more = Effects.of([*form, nothing], [*reference, nothing], [*clusters, "empty"])
    assert more.slope.value == pytest.approx(found.slope.value)
    assert isnan(more.slopes[-1])
    assert more.slopes[:-1] == pytest.approx(found.slopes)


@pytest.mark.parametrize("probes", [0, 8])
def test_of_a_reference_without_effect_nothing_is_known(probes):
    form, nothing = [np.ones(4)] * probes, [np.zeros(4)] * probes
    found = Effects.of(form, nothing, singles(probes))
    for interval in (found.slope, found.cosine):
        assert isnan(interval.value)
        assert (interval.low, interval.high) in {(-np.inf, np.inf), (-1, 1)}


def test_forms_of_other_tokens_are_refused():
    with pytest.raises(ValueError, match=r"mismatch|shorter|longer"):
        effect_slope([np.ones(3)], [np.ones(4)], singles(1))
    with pytest.raises(ValueError, match=r"mismatch|shorter|longer"):
        effect_slope([np.ones(3)] * 2, [np.ones(3)], singles(1))


def test_a_probe_with_most_of_the_effect_does_not_leave_the_slope_of_equal_forms_undecided():
    reference = [np.ones(4)] * 7 + [np.full(4, 30.0)]
    form = [one + 1e-6 * np.arange(4) for one in reference]
    both = Effects.of(form, reference, [str(probe) for probe in range(8)])
    for interval in (both.slope, both.cosine):
        assert interval.low > 0.99
        assert interval.high < 1.01
