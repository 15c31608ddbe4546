"""Recovery: what injection brings back of a persona whose text is left out, and what there is to bring."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import nan
from typing import Self

import numpy as np

from coherence.properties.columns import table
from coherence.properties.composition.grid import GridSample
from coherence.properties.composition.injections import Sites
from coherence.statistics.intervals import Array
from coherence.vocabulary import Band, Site, Table
from coherence.vocabulary.evidence import number


@dataclass(frozen=True)
class Recovered:
    """Share of KL(XY || BY) that is taken away at a set of sites: by the sum, and by XY's own residuals.

    The latter, the oracle of arXiv 2605.23147, is what a sum that were exact would take away.
    """

    sites: Sites
    by_sum: float
    by_oracle: float

    def __str__(self) -> str:
        return f"{number(self.by_sum)} (oracle {number(self.by_oracle)}) at {_named(self.sites)}"


@dataclass(frozen=True)
class Recovery:
    """What is recovered at each set of sites."""

    each: Sequence[Recovered]

    @classmethod
    def of(cls, sample: GridSample) -> Self:
        """Put what sums recover beside what their oracles do."""
        pairs = zip(sample.recovered, sample.changes.oracles, strict=True)
        return cls([Recovered(to.sites, by_sum.value, sample.share(to).value) for by_sum, to in pairs])

    def by_depth(self, depths: int) -> dict[str, Array]:
        """Columns [depths] of what is recovered at single sites, NaN elsewhere."""
        by_sum, by_oracle = np.full((2, depths), nan)
        for one in self._alone:
            by_sum[one.sites[0].depth] = one.by_sum
            by_oracle[one.sites[0].depth] = one.by_oracle
        return {"recovered": by_sum, "recovered by the oracle": by_oracle}

    def table(self) -> Table:
        """Share recovered at every set of sites, by the sum and by the oracle."""
        return table(
            "share recovered by injection",
            [_named(one.sites) for one in self.each],
            {
                "recovered": [one.by_sum for one in self.each],
                "recovered by the oracle": [one.by_oracle for one in self.each],
            },
        )

    def __str__(self) -> str:
        alone = sorted(self._alone, key=lambda one: one.by_sum, reverse=True)
        several = [one for one in self.each if len(one.sites) > 1]
        first, *rest = map(str, [*alone[:1], *several])
        best = f" (the best of {len(alone)} single sites)" if len(alone) > 1 else ""
        return f"recovered by injection: {first}{best}{''.join(f', {one}' for one in rest)}"

    @property
    def _alone(self) -> list[Recovered]:
        return [one for one in self.each if len(one.sites) == 1]


def _named(sites: Sequence[Site]) -> str:
    """Name a set of sites, neighbours together."""
    runs = groupby(enumerate(sites), key=lambda pair: pair[1].depth - pair[0])
    return " and ".join(str(Band(tuple(site for _, site in run))) for _, run in runs)
