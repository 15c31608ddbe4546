import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from coherence.statistics.multiplicity import holm, shares

several = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)


def test_the_example_that_everybody_works_out():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(several)
def test_never_smaller_than_raw_nor_larger_than_bonferroni(p):
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, p * len(p))).all()


@given(several)
def test_the_order_of_the_raw_ones_is_kept(p):
    rising = np.argsort(p, kind="stable")
    assert (np.diff(holm(p)[rising]) >= 0).all()


@given(several, st.randoms(use_true_random=False))
def test_the_order_in_which_they_come_does_not_matter(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    assert (holm(p[order]) == holm(p)[order]).all()


@given(several, st.data())
def test_more_evidence_against_one_never_helps_another_to_stand(p, data):
    row = data.draw(st.integers(0, len(p) - 1))
    smaller = p.copy()
    smaller[row] *= data.draw(st.floats(0, 1))
    assert (holm(smaller) <= holm(p)).all()


def test_groups_share_a_level_and_their_tests_divide_it():
    assert shares(["a", "b", "b", None, "a", "b"]) == pytest.approx([1 / 4, 1 / 6, 1 / 6, 0, 1 / 4, 1 / 6])
    assert shares([None, None]).tolist() == [0, 0]


def test_a_test_has_its_share_of_the_level():
    # Holm 1979, section 4: p over its weight, times the weight of those that still wait.
    found = holm(np.array([0.01, 0.02, 0.04]), np.array([1.0, 2.0, 1.0]))
    assert found == pytest.approx(
        [0.04, 0.04, 0.04]
    )  # .02 / 2 * 4, then .01 / 1 * 2 and .04 / 1 * 1 are less


@given(several, st.floats(0.1, 10))
def test_equal_weights_are_none(p, weight):
    assert holm(p, np.full(len(p), weight)) == pytest.approx(holm(p))


@given(several, st.data())
def test_what_has_no_weight_is_never_rejected_and_costs_nothing(p, data):
    padding = np.array(data.draw(st.lists(st.floats(0, 1), max_size=40)))
    found = holm(np.concatenate([padding, p]), np.repeat([0.0, 1.0], [len(padding), len(p)]))
    assert (found[: len(padding)] == 1).all()
    assert (found[len(padding) :] == holm(p)).all()


@given(several, several)
def test_a_family_costs_another_its_share_however_large_it_is(first, second):
    weights = shares(["first"] * len(first) + ["second"] * len(second))
    found = holm(np.concatenate([first, second]), weights)[: len(first)]
    assert (found <= np.minimum(1, 2 * len(first) * first) + 1e-12).all()


@given(st.floats(0, 1))
def test_one_alone_is_as_it_was(p):
    assert holm(np.array([p])) == [p]


def test_none_is_none():
    assert len(holm(np.empty(0))) == 0


@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_a_run_without_a_fault_rejects_anything_in_at_most_5_of_100(shared):
    """Forty claims on 4,000 healthy releases, independent or resting on the same probes."""
    drawn = np.random.default_rng(0)
    common, own = drawn.normal(size=(4000, 1)), drawn.normal(size=(4000, 40))
    p = norm.sf(np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
    by_family = shares(["large"] * 35 + ["small"] * 5)
    assert (p <= 0.05).any(1).mean() > 0.3
    for weights in (None, by_family):
        adjusted = np.array([holm(run, weights) for run in p])
        assert (adjusted <= 0.05).any(1).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 4000)
