import numpy as np
import pytest

from coherence.statistics.dose_curve import DoseCurve

PROBES, LENGTH = 8, 50
TOKENS = np.random.default_rng(0).normal(size=(PROBES, LENGTH))
CLUSTERS = [str(probe) for probe in range(PROBES)]


def at(dose):
    """Saturating, as adapters do: four times the dose is less than twice the effect."""
    return np.tanh(dose * TOKENS)


CURVE = {dose: at(dose) for dose in (0.25, 0.5, 1.0, 2.0, 4.0)}


def found(effect, curve=CURVE):
    return DoseCurve.of(effect, curve, CLUSTERS)


@pytest.mark.parametrize("dose", [0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_the_dose_is_found_where_the_effect_is_not_linear(dose):
    assert found(at(dose)).dose.value == pytest.approx(dose, rel=0.1)
    slope = (at(dose) * at(1.0)).sum() / (at(1.0) ** 2).sum()
    assert dose <= 1 or slope < 0.8 * dose


@pytest.mark.parametrize("dose", CURVE)
def test_a_dose_that_was_measured_is_exact_and_leaves_nothing(dose):
    there = found(at(dose))
    assert (there.dose.value, there.left) == (pytest.approx(dose), pytest.approx(0, abs=1e-12))


def test_no_effect_and_the_contrary_are_a_dose_of_nothing():
    assert found(np.zeros_like(TOKENS)).dose.value == 0
    assert found(-at(1.0)).dose.value == 0


def test_what_lies_beyond_is_the_highest():
    assert found(3 * at(4.0)).dose.value == 4.0


def test_an_effect_that_goes_back_at_large_doses_is_told_apart():
    """A slope of 1 at twice the dose, as where replies are nearly certain already."""
    curve = {1.0: TOKENS, 2.0: TOKENS + 0.1 * np.random.default_rng(1).normal(size=TOKENS.shape)}
    there = found(curve[2.0], curve)
    assert (curve[2.0] * TOKENS).sum() / (TOKENS**2).sum() == pytest.approx(1, abs=0.02)
    assert there.dose.value == pytest.approx(2)
    assert there.dose.low > 1.9


def test_another_effect_leaves_most_of_itself():
    other = np.random.default_rng(5).normal(size=TOKENS.shape)
    assert found(other).left > 0.9 * (other**2).sum()


def test_intervals_cover_the_dose_under_noise():
    covered = 0
    for draw in range(200):
        chance = np.random.default_rng(draw)
        clean = chance.normal(size=(PROBES, LENGTH))
        curve = {dose: np.tanh(dose * clean) for dose in (0.25, 0.5, 1.0, 2.0, 4.0)}
        noisy = curve[1.0] + chance.normal(scale=0.2, size=clean.shape)
        interval = DoseCurve.of(noisy, curve, CLUSTERS).dose
        assert interval.value == pytest.approx(1.0, abs=0.25)
        covered += interval.low <= 1.0 <= interval.high
    assert covered >= 180


def test_without_doses_there_is_none():
    with pytest.raises(ValueError, match="no dose was measured"):
        found(TOKENS, {})
