"""What every property shares: what is expected of it, and which of its criteria could fail."""

from math import inf

import pytest
from pydantic import ValidationError

from coherence.properties import Property
from coherence.properties.composition.commutativity import Commutativity
from coherence.properties.installed import BUILT_IN
from coherence.properties.markers import Markers
from coherence.properties.ranges import ANY, COSINE, SHARE, SIZE
from coherence.vocabulary import Criterion, Estimate, Incoherence

ASKED = {"property": "markers", "min_agreement": 0.5, "max_difference": 0.2, "min_recovery": 0.5}


def markers(**written):
    return Markers.model_validate(ASKED | written)


def criterion(key="min_agreement", at_least=-inf, at_most=inf, law=False):
    estimate = Estimate(name="kappa", value=0.1, low=0.0, high=0.2, n=24)
    return Criterion(estimate=estimate, at_least=at_least, at_most=at_most, key=key, law=law)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_claim_is_a_key(kind):
    assert kind.claims
    assert set(kind.claims) <= set(kind.model_fields)
    assert set(kind.claims.values()) <= {ANY, SIZE, SHARE, COSINE, (-2.0, 2.0), (-inf, 1.0)}


def test_a_known_incoherence_names_its_criteria():
    assert markers(expect={"fail": "min_recovery"}).expect == Incoherence(fail=("min_recovery",))
    assert markers(expect={"fail": ["min_recovery", "max_difference"]}).expect.fail[1] == "max_difference"


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        (
            "fail",
            "expect: fail does not say which criterion fails; expected {fail: KEY}, with one or several of "
            "min_agreement, max_difference, max_count_difference, min_recovery",
        ),
        (
            {"fail": "min_recovry"},
            "expect: 'min_recovry' has no criterion that could fail; did you mean 'min_recovery'?",
        ),
        ({"fail": "exclude"}, "expect: 'exclude' has no criterion that could fail"),
        ({"fail": ["min_recovery", "max_kl"]}, "expect: 'max_kl' has no criterion that could fail"),
    ],
)
def test_what_no_criterion_could_come_to_is_refused(expect, sentence):
    with pytest.raises(ValidationError) as caught:
        markers(expect=expect)
    assert sentence in str(caught.value)


def test_where_there_is_one_criterion_fail_is_enough():
    assert Commutativity(property="commutativity", expect="fail").expect == "fail"


@pytest.mark.parametrize(
    ("found", "could"),
    [
        (criterion(at_least=0.5), True),
        (criterion(at_least=-1), False),
        (criterion("max_difference", -0.2, 0.2), True),
        (criterion("max_difference", -1, 1), False),
        (criterion("min_recovery", at_least=0), True),
        (criterion("min_recovery"), False),
        (criterion(None, at_least=0), False),
        (criterion(at_least=0.5, law=True), False),
        (criterion("of_another_package", at_least=0), True),
    ],
)
def test_a_range_that_holds_every_value_could_not_fail(found, could):
    asked: Property = markers()
    assert asked.could_fail(found) is could
