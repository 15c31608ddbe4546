import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from coherence.statistics.multiplicity import holm

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
    any_alone, any_adjusted = ((found <= 0.05).any(1).mean() for found in (p, np.array(list(map(holm, p)))))
    assert any_alone > 0.3
    assert any_adjusted <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 4000)
