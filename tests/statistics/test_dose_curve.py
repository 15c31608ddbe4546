import numpy as np
import pytest

from coherence.statistics.dose_curve import dose_of

TOKENS = np.random.default_rng(0).normal(size=400)


def at(dose):
    """Saturating, as adapters do: four times the dose is less than twice the effect."""
    return np.tanh(dose * TOKENS)


CURVE = {dose: at(dose) for dose in (0.25, 0.5, 1.0, 2.0, 4.0)}


@pytest.mark.parametrize("dose", [0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0])
def test_the_dose_is_found_where_the_effect_is_not_linear(dose):
    assert dose_of(at(dose), CURVE) == pytest.approx(dose, rel=0.1)
    slope = at(dose) @ at(1.0) / (at(1.0) @ at(1.0))
    assert dose <= 1 or slope < 0.8 * dose


def test_no_effect_and_the_contrary_are_a_dose_of_nothing():
    assert dose_of(np.zeros(400), CURVE) == 0
    assert dose_of(-at(1.0), CURVE) == 0


def test_what_lies_beyond_is_the_highest():
    assert dose_of(3 * at(4.0), CURVE) == 4.0


def test_noise_moves_it_little():
    noisy = at(1.0) + np.random.default_rng(1).normal(size=400) * 0.1
    assert dose_of(noisy, CURVE) == pytest.approx(1.0, abs=0.05)


def test_without_doses_there_is_none():
    with pytest.raises(ValueError, match="no dose was measured"):
        dose_of(TOKENS, {})
