"""In which order a reader wants the assertions."""

from collections.abc import Iterable

from coherence.results import AssertionResult

_WORST_FIRST = ("error", "fail", "unexpected pass", "inconclusive", "tolerated", "expected fail", "pass")


def worst_first(results: Iterable[AssertionResult]) -> list[AssertionResult]:
    """Sort by outcome, otherwise as they were."""
    return sorted(results, key=lambda result: _WORST_FIRST.index(result.outcome))
