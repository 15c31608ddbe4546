import numpy as np
import pytest

from coherence.statistics.site_effects import SiteEffects

CLUSTERS = [str(number) for number in range(24)]
WHOLE = np.exp(np.random.default_rng(0).normal(size=24) / 3)


def effects(*shares: float, noise: float = 0.0, seed: int = 1) -> SiteEffects:
    drawn = np.random.default_rng(seed).normal(size=(len(shares), 24)) * noise
    return SiteEffects((1 - np.array(shares))[:, None] * WHOLE + drawn, WHOLE, CLUSTERS)


def test_an_effect_is_the_share_of_the_way_at_every_site():
    made = effects(0.2, 0.7, -0.4)
    assert [one.value for one in made.by_site] == pytest.approx([0.2, 0.7, -0.4])
    assert made.largest.value == pytest.approx(0.7)
    assert (made.peak(), made.peak([0, 2])) == (1, 0)


def test_a_lead_is_over_the_best_of_the_others():
    made = effects(0.2, 0.7, 0.6, noise=0.05)
    assert made.lead([1]).value == pytest.approx(0.1, abs=0.05)
    assert made.lead([0]).high < 0
    assert effects(0.5, 0.5, noise=0.3).lead([0]).low < 0


def test_what_is_left_over_is_a_share_of_the_peak():
    assert effects(0.8, 0.4, 0.2).left_over([1, 2]).value == pytest.approx(0.5)


def test_a_loss_is_what_another_site_would_have_more():
    made = effects(0.2, 0.7, 0.6)
    assert made.loss(0).value == pytest.approx(0.5)
    assert made.loss(1).value == pytest.approx(-0.1)


def test_a_prompt_that_does_nothing_gives_no_value():
    made = SiteEffects(np.zeros((2, 24)), np.zeros(24), CLUSTERS)
    assert np.isnan(made.largest.value)
