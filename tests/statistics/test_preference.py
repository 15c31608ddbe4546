import numpy as np
import pytest

from coherence.statistics.preference import Preference

CLUSTERS = [f"t{probe}" for probe in range(40)]


def preference(own: float, spread: float = 0.3, seed: int = 0) -> Preference:
    """A regime that gains `own` nats a token more on the first persona's replies than on three others'."""
    drawn = np.random.default_rng(seed)
    return Preference(1 + np.array([own, 0, 0, 0]) + drawn.normal(0, spread, (40, 4)), CLUSTERS)


def test_a_lead_is_what_the_own_replies_gain_beyond_the_mean_of_others():
    lead = preference(0.8).lead
    assert lead.low < 0.8 < lead.high
    assert lead.high - lead.low < 0.4


def test_what_any_reply_gains_is_no_lead():
    moved = Preference(preference(0.8).gains + 5, CLUSTERS)
    assert moved.lead.value == pytest.approx(preference(0.8).lead.value)


def test_a_share_is_of_the_other_regimes_lead_whatever_both_gain():
    share = preference(0.4, seed=1).share_of(preference(0.8))
    assert share.low < 0.5 < share.high
    assert preference(0.8).share_of(preference(0.8)).value == pytest.approx(1)


def test_a_tie_is_no_hit():
    nothing = Preference(np.zeros((40, 4)), CLUSTERS)
    assert nothing.accuracy.value == 0
    assert nothing.gap_to(preference(5.0)).value == 1
    assert preference(5.0).accuracy.value == 1


def test_chance_hits_as_often_as_there_are_personas():
    many = Preference(np.random.default_rng(2).normal(size=(4000, 4)), [str(probe) for probe in range(4000)])
    assert many.accuracy.low < 0.25 < many.accuracy.high


def test_the_lead_over_one_of_the_others_is_of_that_alone():
    gains = np.tile([1.0, 0.2, 0.7], (8, 1))
    told = Preference(gains, CLUSTERS[:8])
    assert [told.over(place).value for place in (0, 1)] == pytest.approx([0.8, 0.3])
