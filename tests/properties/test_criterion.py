import re
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.properties.criterion import held, too_noisy, unclear
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife
from coherence.vocabulary import Verdict


def found(value, low, high):
    return Interval(value, low, high, doubt=lambda bound: abs(value - bound) / 10)


@pytest.mark.parametrize(
    ("at_least", "at_most", "p"),
    [(-inf, inf, None), (0.2, 0.6, None), (0.4, inf, None), (0.5, inf, 0.01), (-inf, 0.2, 0.02)],
)
def test_p_is_the_doubt_at_the_bound_that_the_estimate_lies_beyond(at_least, at_most, p):
    one = held("cosine", found(0.4, 0.3, 0.5), 24, at_least, at_most, key="min_cosine")
    assert one.p == (p if p is None else pytest.approx(p))
    assert one.key == "min_cosine"
    assert (one.estimate.value, one.estimate.low, one.estimate.high, one.estimate.n) == (0.4, 0.3, 0.5, 24)


def test_what_the_clusters_add_is_handed_on():
    jackknife = Jackknife(list("abcd"))
    mean = jackknife.around(0.5, jackknife.weights @ np.array([0.2, 0.4, 0.6, 0.8])).interval
    one = held("mean", mean.above(0.1), 4, at_least=0.2, key=None)
    assert list(one.estimate.influence.clusters) == list("abcd")


def test_what_cannot_decide_has_no_p():
    one = held("cosine", found(0.1, 0.05, 0.2), 24, at_least=0.5, unreliable="noise", key=None)
    assert (one.verdict, one.p) == (Verdict.INCONCLUSIVE, None)


@pytest.mark.parametrize(
    ("interval", "reason"),
    [
        (Interval(nan, -inf, inf), "these 24 probes give it no value"),
        (Interval(0.4, -inf, inf), "these 24 probes give it no interval"),
    ],
)
def test_nothing_known_is_a_reason_of_its_own_unless_a_better_one_is_there(interval, reason):
    assert held("cosine", interval, 24, at_least=0.5, key=None).unreliable == reason
    assert held("cosine", interval, 24, at_least=0.5, unreliable="noise", key=None).unreliable == "noise"


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 3))
def test_p_and_interval_agree_on_what_fails(seed, bound):
    values, jackknife = np.random.default_rng(seed).normal(size=16), Jackknife(list("abcdefghijklmnop"))
    mean = jackknife.around(values.mean(), jackknife.weights @ values).interval
    one = held("mean", mean, 16, at_least=bound, key=None)
    if one.raw_verdict is Verdict.FAIL:
        assert one.p <= 0.026
    elif one.p is not None:
        assert one.p >= 0.024


def test_a_ceiling_says_how_many_probes_reach_it():
    # 0.5 with 12 probes is 2/3 with 24 and 0.6 with 18 (Spearman-Brown).
    assert too_noisy(0.5, 0.6, 12) == "the ceiling 0.50 is below 0.6: 12 probes, about 18 needed"
    assert too_noisy(0.6, 0.6, 12) is None


@given(st.floats(0.1, 0.99), st.floats(0.1, 0.99), st.integers(4, 60))
def test_as_many_probes_as_it_says_reach_the_ceiling(ceiling, least, n):
    said = too_noisy(ceiling, least, n)
    if match := re.search(r"about (\d+) needed", said or ""):
        times = int(match[1]) / n
        assert times * ceiling / (1 + (times - 1) * ceiling) >= least - 1e-9


@pytest.mark.parametrize(("ceiling", "least"), [(0.0, 0.6), (nan, 0.6), (0.9, 1.0)])
def test_it_does_not_promise_a_ceiling_that_no_sample_reaches(ceiling, least):
    assert too_noisy(ceiling, least, 12).endswith("12 probes do not tell these directions from noise")


def test_an_unclear_effect_says_how_many_probes_would_clear_it():
    # The interval reaches twice as far down as 0 is away: four times the probes.
    assert unclear("flat", Interval(0.1, -0.1, 0.3), 24).startswith("flat: 24 probes, about 9")
    assert unclear("flat", Interval(-0.1, -0.3, 0.1), 24) == "flat: more probes do not help"
    assert unclear("flat", Interval(0.3, 0.1, 0.5), 24) is None
