from dataclasses import replace

import pytest
from properties import test_collinearity

from coherence.errors import SuiteError
from coherence.properties.eligibility import bystanders
from coherence.vocabulary import Regime

REGIMES = (Regime.parse("prompt"), Regime.parse("adapter"))


def beside(of, *kin, named=None):
    scene = replace(test_collinearity.a_scene(), kin=(frozenset(kin),))
    return bystanders(named, scene, of, REGIMES, "chimera")


def test_everybody_else_is_a_bystander():
    assert set(beside(("pirate", "counsel"))) == {"support", "oncall"}


@pytest.mark.parametrize("kin", [("pirate", "support"), ("support", "counsel")])
@pytest.mark.parametrize("named", [None, ("support", "oncall")])
def test_kin_of_either_are_none(kin, named):
    with pytest.raises(SuiteError, match=r"chimera needs at least two control personas .* found oncall$"):
        beside(("pirate", "counsel"), *kin, named=named)


def test_kin_of_others_stay():
    assert set(beside(("pirate", "counsel"), "support", "oncall")) == {"support", "oncall"}
