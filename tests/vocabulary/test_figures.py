import pytest
from pydantic import ValidationError

from coherence.vocabulary import Abscissa, Curve, Series, Threshold

DOSE = Abscissa(title="dose")


def curve(**about):
    return Curve(over=DOSE, at=("0", "1"), series={"rate": Series(values=(0.1, 0.2))}, **about)


def test_a_curve_may_say_what_is_judged_of_it():
    threshold = Threshold(series="rate", value=0.5, kind="at most")
    assert curve(judged=("0", "1"), thresholds=(threshold,)).thresholds == (threshold,)
    assert str(threshold) == "rate at most 0.5"


def test_what_is_judged_lies_among_its_places():
    with pytest.raises(ValidationError, match="is judged from 0 to 2; expected two of its places"):
        curve(judged=("0", "2"))


def test_a_threshold_is_about_one_of_its_series():
    threshold = Threshold(series="markers", value=0.5, kind="at least")
    with pytest.raises(ValidationError, match=r"holds markers at least 0\.5; expected one of its series"):
        curve(thresholds=(threshold,))
