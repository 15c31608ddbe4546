import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coherence.statistics.agreement import (
    agreement,
    cohen_kappa,
    gwet_ac1,
    mcnemar_exact,
    paired_difference,
    recovery,
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
def test_agreement_is_symmetric_at_most_1_and_inside_its_interval(pair):
    first, second = pair
    for measure in (cohen_kappa, gwet_ac1):
        assert measure(first, second) == pytest.approx(measure(second, first), nan_ok=True)
        assert not measure(first, second) > 1
    name, found = agreement(first, second, singles(len(first)))
    other, back = agreement(second, first, singles(len(first)))
    assert (name, found.value) == (other, back.value)
    assert (found.low, found.high) == pytest.approx((back.low, back.high))
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low


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


def test_kappa_collapses_where_nearly_all_are_hits_and_ac1_does_not():
    first, second = table(118, 5, 0, 2)  # 96 % agree
    by_each, by_pool = 0.984 * 0.944 + 0.016 * 0.056, 2 * 0.964 * 0.036
    assert cohen_kappa(first, second) == pytest.approx((0.96 - by_each) / (1 - by_each))
    assert gwet_ac1(first, second) == pytest.approx((0.96 - by_pool) / (1 - by_pool))
    assert cohen_kappa(first, second) < 0.44 < 0.95 < gwet_ac1(first, second)


def test_the_name_says_which_measure_was_taken():
    assert agreement(hits(*range(12)), hits(*range(12)), singles(24))[0] == "Cohen's kappa"
    assert agreement(hits(*range(23)), hits(*range(22)), singles(24))[0] == "Gwet's AC1"
    assert agreement(hits(1), hits(2), singles(24))[0] == "Gwet's AC1"


def test_perfect_agreement_still_has_width():
    _, found = agreement(hits(*range(12)), hits(*range(12)), singles(24))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.65, abs=0.01)


def test_the_published_disagreement_is_seen():
    # 67 % against 58 % of 24 probes, kappa .65: nobody could tell the rates apart.
    first, second = table(13, 3, 1, 7)
    assert cohen_kappa(first, second) == pytest.approx(0.65, abs=0.01)
    assert mcnemar_exact(first, second) == pytest.approx(0.625)
    found = paired_difference(first, second, singles(24))
    assert found.low < 0 < found.high


def test_no_discordant_probe_leaves_no_evidence_of_a_difference():
    assert mcnemar_exact(hits(1, 2), hits(1, 2)) == 1
    assert mcnemar_exact(hits(), hits(*range(6))) == pytest.approx(2 * 0.5**6)


def test_templates_that_repeat_themselves_widen_every_interval():
    first, second = table(12, 4, 0, 8)
    for statistic in (paired_difference, lambda *a: agreement(*a)[1]):
        few, many = (
            statistic(first, second, names) for names in ([f"t{i // 4}" for i in range(24)], singles(24))
        )
        assert few.value == many.value
        assert few.high - few.low > many.high - many.low


@given(pairs_of_hits)
def test_the_ends_are_doubted_by_one_tail(pair):
    names = singles(len(pair[0]))
    for found in (paired_difference(*pair, names), agreement(*pair, names)[1]):
        inside = [end for end in (found.low, found.high) if abs(end) < 1]
        assert [found.doubt(end) for end in inside] == pytest.approx([TAIL] * len(inside), rel=1e-6)


def test_one_template_says_nothing_but_what_the_added_probes_leave_open():
    first, second = table(3, 1, 1, 3)
    for found in (paired_difference(first, second, ["t"] * 8), agreement(first, second, ["t"] * 8)[1]):
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
