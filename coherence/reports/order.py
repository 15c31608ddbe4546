"""In which order a reader wants the assertions."""

from collections.abc import Iterable

from coherence.results import AssertionResult

_WORST_FIRST = ("error", "fail", "unexpected pass", "inconclusive", "tolerated", "expected fail", "pass")


def worst_first(results: Iterable[AssertionResult]) -> list[AssertionResult]:
    """Sort by outcome, otherwise as they were.

    What one artefact explains stays together, where the worst of it is: what is red of itself before what
    follows from that.
    """
    several = list(results)
    worst: dict[str, tuple[int, int]] = {}
    for index, result in enumerate(several):
        if result.cause:
            here = (_rank(result), index)
            worst[result.cause.sentence] = min(worst.get(result.cause.sentence, here), here)

    def place(numbered: tuple[int, AssertionResult]) -> tuple[tuple[int, int], bool, int, int]:
        index, result = numbered
        own = (_rank(result), index)
        if result.cause is None:
            return own, False, *own
        return worst[result.cause.sentence], result.cause.follows, *own

    return [result for _, result in sorted(enumerate(several), key=place)]


def _rank(result: AssertionResult) -> int:
    return _WORST_FIRST.index(result.outcome)
