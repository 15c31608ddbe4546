import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coherence.statistics.agreement import (
    chance_disagreements,
    kappa,
    mcnemar_exact,
    paired_difference,
    recovery,
    relative_difference,
)
from coherence.statistics.intervals import TAIL

pairs_of_hits = st.integers(4, 40).flatmap(
    lambda n: st.tuples(*[st.lists(st.booleans(), min_size=n, max_size=n).map(np.array)] * 2)
)


def singles(n):
    return [f"q{i}" for i in range(n)]


def hits(*numbers, n=24):
    return np.isin(np.arange(n), numbers)


def table(both, first, second, neither):
    """Hits from a 2 x 2 table of counts."""
    return (
        np.repeat([True, True, False, False], [both, first, second, neither]),
        np.repeat([True, False, True, False], [both, first, second, neither]),
    )


@example((np.array([False, True, True, True]), np.array([True, True, True, False])))
@given(pairs_of_hits)
def test_kappa_is_symmetric_at_most_1_and_inside_its_interval(pair):
    found, back = (kappa(*sides, singles(len(pair[0]))) for sides in (pair, pair[::-1]))
    assert found.value == pytest.approx(back.value, nan_ok=True)
    assert (found.low, found.high) == pytest.approx((back.low, back.high))
    if not np.isnan(found.value):
        assert -1 <= found.low <= found.value <= found.high <= 1
        assert found.high > found.low


@given(st.integers(0, 4), st.integers(0, 4))
def test_kappa_of_independent_sides_is_0_at_every_rate(one, two):
    """Every combination of the two sides as often as its rates say."""
    first, second = np.arange(16) % 4 < one, np.arange(16) // 4 < two
    found = kappa(first, second, singles(16))
    assert found.value == pytest.approx(0) or np.isnan(found.value)


@given(pairs_of_hits)
def test_kappa_is_what_is_left_of_the_disagreements_by_chance(pair):
    expected, observed = chance_disagreements(*pair), int((pair[0] != pair[1]).sum())
    found = kappa(*pair, singles(len(pair[0])))
    assert chance_disagreements(*pair[::-1]) == pytest.approx(expected)
    if expected:
        assert found.value == pytest.approx(1 - observed / expected)
    else:
        assert np.isnan(found.value)
        assert (found.low, found.high) == (-1, 1)


@given(pairs_of_hits)
def test_the_difference_changes_sign_with_the_order_and_has_width(pair):
    first, second = pair
    found, back = (
        paired_difference(*pair, singles(len(first))) for pair in ((first, second), (second, first))
    )
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    assert mcnemar_exact(first, second) == pytest.approx(mcnemar_exact(second, first))


def test_where_nearly_all_are_hits_chance_leaves_few_disagreements_to_tell_kappa_from():
    first, second = table(118, 5, 0, 2)  # 96 % agree
    assert chance_disagreements(first, second) == pytest.approx(8.8, abs=0.1)
    found = kappa(first, second, singles(125))
    assert found.value == pytest.approx(1 - 5 / chance_disagreements(first, second))
    assert found.high - found.low > 0.6


def test_independent_sides_are_hardly_ever_said_to_agree():
    drawn, passed = np.random.default_rng(0), 0
    for _ in range(400):
        first, second = drawn.random((2, 64)) < 0.9
        passed += kappa(first, second, singles(64)).low >= 0.5
    assert passed <= 2


def test_perfect_agreement_still_has_width():
    found = kappa(hits(*range(12)), hits(*range(12)), singles(24))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.65, abs=0.01)


def test_the_published_disagreement_is_seen():
    # 67 % against 58 % of 24 probes, kappa .65: nobody could tell the rates apart.
    first, second = table(13, 3, 1, 7)
    assert kappa(first, second, singles(24)).value == pytest.approx(0.65, abs=0.01)
    assert mcnemar_exact(first, second) == pytest.approx(0.625)
    found = paired_difference(first, second, singles(24))
    assert found.low < 0 < found.high


def test_no_discordant_probe_leaves_no_evidence_of_a_difference():
    assert mcnemar_exact(hits(1, 2), hits(1, 2)) == 1
    assert mcnemar_exact(hits(), hits(*range(6))) == pytest.approx(2 * 0.5**6)


def test_templates_that_repeat_themselves_widen_every_interval():
    first, second = table(12, 4, 0, 8)
    for statistic in (paired_difference, kappa):
        few, many = (
            statistic(first, second, names) for names in ([f"t{i // 4}" for i in range(24)], singles(24))
        )
        assert few.value == many.value
        assert few.high - few.low > many.high - many.low


@given(pairs_of_hits)
def test_the_ends_are_doubted_by_one_tail(pair):
    names = singles(len(pair[0]))
    for found in (paired_difference(*pair, names), kappa(*pair, names)):
        inside = [end for end in (found.low, found.high) if abs(end) < 1]
        assert [found.doubt(end) for end in inside] == pytest.approx([TAIL] * len(inside), rel=1e-6)


def test_one_template_says_nothing_but_what_the_added_probes_leave_open():
    first, second = table(3, 1, 1, 3)
    for found in (paired_difference(first, second, ["t"] * 8), kappa(first, second, ["t"] * 8)):
        assert (found.low, found.high) == (-1, 1)


def recovered(second, ceiling, bare, clusters=None):
    return recovery(second, ceiling, bare, clusters or singles(24))


def test_recovery_is_the_share_of_the_prompts_effect():
    found = recovered(hits(*range(12)), hits(*range(20)), hits(*range(4)))
    assert found.value == pytest.approx(0.5)
    assert 0.2 < found.low < 0.5 < found.high < 0.9


def test_recovery_has_width_where_every_probe_hits():
    found = recovered(hits(*range(24)), hits(*range(24)), hits())
    assert found.value == 1
    assert found.low == pytest.approx(0.88, abs=0.04)
    assert found.high == pytest.approx(1.13, abs=0.05)


def test_there_is_no_recovery_where_the_ceiling_is_the_floor():
    found = recovered(hits(*range(12)), hits(*range(4)), hits(*range(4)))
    assert np.isnan(found.value)
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_recovery_is_covered_about_as_often_as_promised():
    drawn = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        ease = drawn.random(24)
        found = recovered(ease < 0.6, ease < 0.8, drawn.random(24) < 0.05)
        covered += found.low <= 0.55 / 0.75 <= found.high
    assert covered >= 53


def test_recovery_by_template_is_less_certain():
    sides = hits(*range(12)), hits(*range(21)), hits()
    single = recovered(*sides)
    clustered = recovered(*sides, clusters=[f"t{i // 3}" for i in range(24)])
    assert clustered.value == single.value
    assert clustered.high - clustered.low > 1.2 * (single.high - single.low)


def relative(first, second, unit=0, clusters=None):
    counts = np.stack([first, second], axis=1).astype(float)
    return relative_difference(counts, 0, 1, unit, clusters or singles(len(counts)))


def test_a_relative_difference_is_in_means_of_its_unit():
    few, many = np.tile([2, 4], 12), np.tile([4, 5], 12)
    assert relative(few, many).value == pytest.approx(0.5)
    assert relative(few, many, unit=1).value == pytest.approx(1 / 3)
    assert relative(many, few, unit=1).value == pytest.approx(-0.5)
    counts = np.stack([few, many, np.full(24, 6)], axis=1).astype(float)
    assert relative_difference(counts, 0, 1, 2, singles(24)).value == pytest.approx(0.25)


@given(st.integers(0, 10_000), st.integers(1, 5))
def test_a_relative_difference_does_not_depend_on_how_many_markers_there_are(seed, times):
    counts = np.random.default_rng(seed).integers(0, 6, size=(2, 24)) + np.array([[1], [0]])
    one, more = relative(*counts), relative(*(times * counts))
    assert (more.value, more.low, more.high) == pytest.approx((one.value, one.low, one.high))


def test_counts_that_are_all_alike_have_an_interval_with_width():
    found = relative(np.full(24, 6), np.full(24, 6))
    assert found.value == 0
    assert found.high == pytest.approx(0.12, abs=0.02)
    assert found.low == pytest.approx(-0.12, abs=0.02)


def test_where_the_unit_counts_nothing_there_is_no_relative_difference():
    found = relative(np.zeros(24), np.ones(24))
    assert np.isnan(found.value)
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_differences_of_templates_that_answer_alike_are_covered():
    """Four templates of four, rates .9 and .6: 83 % when each added probe weighed as one."""
    drawn, held_it = np.random.default_rng(0), 0
    names = [f"t{i // 4}" for i in range(16)]
    for _ in range(300):
        own, common = (drawn.random((2, n)) < [[0.9], [0.6]] for n in (16, 4))
        first, second = np.where(drawn.random(16) < 0.8, np.repeat(common, 4, axis=1), own)
        found = paired_difference(first, second, names)
        held_it += found.low <= -0.3 <= found.high
    assert held_it >= 0.93 * 300
