"""What estimates run over a sample of, in the shipped suites."""

from pathlib import Path

import pytest

from coherence.suite import Overrides, load_suite

SUITES = Path(__file__).parents[2] / "suites"
PROBES, SCRIPTS, LAW = ("probes",), ("scripts",), ()
UNITS = {
    "algebra": {"algebra": PROBES, "known-wrong": PROBES, "drift": PROBES, "equivalence": PROBES,
                "worst": LAW, "factorial": ("tasks",), "dose": PROBES},
    "composition": {"commutativity": LAW, "chimera": PROBES},
    "personas": {"collinearity": PROBES, "stack": PROBES, "markers": PROBES, "heard": PROBES},
    "space/distinct": {"distinct": PROBES},
    "space/space": {"space": PROBES, "default-stays": PROBES, "office": PROBES},
    "conversations/basin": dict.fromkeys(("basin", "forgotten", "border", "plane"), SCRIPTS),
    "conversations/cache": {"cache": LAW, "lost": SCRIPTS, "late": SCRIPTS, "cache_edit": SCRIPTS,
                            "handover": SCRIPTS, "left-behind": SCRIPTS, "switched": SCRIPTS},
    "conversations/capping": {"assistant-cap": (*SCRIPTS, *PROBES), "assistant-cap-markers": SCRIPTS,
                              "assistant-cap-user": SCRIPTS, "full-cap": (*SCRIPTS, *PROBES),
                              "full-cap-user": SCRIPTS},
    "conversations/drift": dict.fromkeys(("drift", "home", "alike"), SCRIPTS),
}  # fmt: skip


@pytest.mark.parametrize("name", UNITS)
def test_every_case_names_what_its_estimates_run_over(name):
    suite = load_suite(SUITES / f"{name}.coherence.yaml", Overrides())
    found = {(one.property.id or one.property.property, one.case.units) for one in suite.assertions}
    assert found == set(UNITS[name].items())


def test_a_search_of_a_claim_has_no_sample():
    suite = load_suite(SUITES / "poles.coherence.yaml", Overrides())
    gaps = {one.case.slug: one.case.units for one in suite.assertions if one.property.property == "gap"}
    assert gaps == {"every-way": PROBES, "search": LAW}
