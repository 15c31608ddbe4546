"""Assertions as they stand in the results of a run that never was."""

from typing import Any

from coherence.results import AssertionResult, sentence_of
from coherence.vocabulary import Evidence, Verdict


def assertion(
    name: str, verdict: Verdict, evidence: Evidence | None = None, error: str | None = None, **fields: Any
) -> AssertionResult:
    """An assertion of the suite of pirates, with the sentence that goes with it; `name` is its id."""
    persona, *_, slug = name.split(".")
    given: dict[str, Any] = {
        "property": "collinearity",
        "family": "collinearity",
        "suite": "suites/pirate.yaml",
        "line": 12,
        "expect": "pass",
        "raw_verdict": evidence.raw_verdict if evidence else verdict,
    } | fields
    said = sentence_of(name, verdict, given["expect"], evidence, error)
    named = {"id": name, "persona": persona, "slug": slug, "verdict": verdict, "sentence": said}
    return AssertionResult.model_validate(named | {"evidence": evidence} | given)
