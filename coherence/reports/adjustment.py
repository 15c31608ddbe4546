"""What the adjustment for many claims cost: the fails that are none among all."""

from coherence.results import Results
from coherence.vocabulary import Criterion

_MOST = 20


def cost(results: Results) -> tuple[str, ...]:
    """Say how many criteria fail by themselves and not among all, then a line for each; nothing for none."""
    lost = lost_fails(results)
    if not lost:
        return ()
    count = "1 criterion fails" if len(lost) == 1 else f"{len(lost)} criteria fail"
    named = [f"  {name}: {one.estimate.name}: {one.among_all}" for name, one in lost[:_MOST]]
    more = [f"  {len(lost) - _MOST} more are in the results document"] if len(lost) > _MOST else []
    return f"the adjustment for many claims cost: {count} alone and not among all", *named, *more


def lost_fails(results: Results) -> list[tuple[str, Criterion]]:
    """List the criteria that are counted, fail by themselves and not among all, with ids of assertions."""
    return [
        (result.id, criterion)
        for result in results.assertions
        for criterion in (result.evidence.criteria if result.evidence else ())
        if criterion.fails_only_alone and criterion.adjusted and criterion.adjusted.among
    ]
