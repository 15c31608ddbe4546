"""Fails adjusted for the number of claims in a run."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from coherence.properties import Property
from coherence.statistics.multiplicity import holm, shares
from coherence.vocabulary import Adjusted, Criterion, Evidence, Expectation, fails_as_expected


def among_all(judged: Sequence[tuple[Property, Expectation, Evidence]]) -> list[Evidence]:
    """Adjust the p-values of all claims of a run (Holm 1979), so that they fail together as one would alone.

    Every family has the same share of the level, and its criteria that could fail divide it: many claims of
    one cost the others no more than one does. A criterion without a p, whose estimate is inside its range or
    unreliable, does not fail and counts. A fail that is expected closes no gate, so that no false alarm can
    come of it: such a criterion is neither counted nor adjusted, and neither is a law.
    """

    def counts(expect: Expectation, criterion: Criterion) -> bool:
        return not criterion.law and not fails_as_expected(expect, criterion)

    claims = [
        (case, one) for case, expect, evidence in judged for one in evidence.criteria if counts(expect, one)
    ]
    families = [case.family if case.could_fail(one) else None for case, one in claims]
    sizes = Counter(family for family in families if family is not None)
    p = np.array([1.0 if one.p is None else one.p for _, one in claims])
    adjusted = iter(
        Adjusted(p=float(p), among=sizes[family] if family else 0, families=len(sizes))
        for p, family in zip(holm(p, shares(families)), families, strict=True)
    )

    def among(expect: Expectation, criterion: Criterion) -> Criterion:
        if not counts(expect, criterion):
            return criterion
        claim = next(adjusted)
        return criterion if criterion.p is None else criterion.model_copy(update={"adjusted": claim})

    return [
        evidence.model_copy(update={"criteria": tuple(among(expect, one) for one in evidence.criteria)})
        for _, expect, evidence in judged
    ]
