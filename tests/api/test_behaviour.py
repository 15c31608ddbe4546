"""Behaviour without word lists, on the tiny model: all that it takes is measured, controls among it."""

import pytest

from coherence.vocabulary import Verdict

KEYS = {"personas": ["pirate"], "regimes": ["adapter"]}


@pytest.mark.parametrize(
    "keys",
    [
        {"property": "voice", "min_accuracy": 0, "min_share": -99, "max_gap": 1},
        {
            "property": "recognised",
            "sites": "resid_post.1..2",
            "min_rate": 0,
            "max_gap": 1,
            "min_prompted": 0.01,
        },
    ],
    ids=lambda keys: keys["property"],
)
def test_a_claim_and_what_it_is_held_against_are_measured(suite, keys):
    (result,) = suite.judge(KEYS | keys)
    assert result.evidence, result.error
    assert result.verdict is not Verdict.ERROR
    assert {criterion.estimate.n for criterion in result.evidence.criteria} == {8}
    assert [control.problem for control in result.evidence.controls if control.problem] == []
