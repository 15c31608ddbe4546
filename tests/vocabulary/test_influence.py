from math import nan

import pytest
from pydantic import ValidationError

from coherence.vocabulary import Influence


def test_three_digits_are_enough_for_a_spread():
    influence = Influence(clusters={"order": 0.0123456}, added=1.00049, freedom=7)
    assert (influence.clusters["order"], influence.added) == (0.0123, 1.0)
    assert Influence.model_validate_json(influence.model_dump_json()) == influence


def test_what_is_no_number_is_no_influence():
    with pytest.raises(ValidationError):
        Influence(clusters={"order": nan}, freedom=7)
