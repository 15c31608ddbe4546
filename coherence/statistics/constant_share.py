"""How much of what displaces residuals is one vector that is added everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife
from coherence.statistics.products import Products


@dataclass(frozen=True, eq=False)
class ConstantShare:
    """|mean d|^2 / mean |d|^2 of displacements d at each depth, over positions and probes: 0 to 1.

    1 where each is the same vector, 0 where they share nothing. The square above runs over pairs of probes of
    different clusters, so that what a single probe is moved by is no part of it (Walther et al. 2016). A
    ratio of means over probes (Fieller 1954); clusters are taken to be drawn independently.
    See docs/verdicts.md#constant_shift.
    """

    common: Array  # [depths, 1 + clusters]: of the sample, and without each of its clusters
    whole: Array
    jackknife: Jackknife

    @classmethod
    def of(cls, displaced: Real, clusters: Sequence[str]) -> "ConstantShare":
        """From displacements [depths, positions, probes, width]."""
        exact = displaced.astype(np.float64)
        jackknife, means = Jackknife(clusters), exact.mean(1)
        squares = np.square(exact).sum(-1).mean(1)
        common = Products.of(means, means, clusters).across(jackknife.weights)
        return cls(common, squares @ jackknife.weights.T, jackknife)

    def at(self, depths: Sequence[int]) -> "ConstantShare":
        """Return the share at these depths alone."""
        kept = list(depths)
        return ConstantShare(self.common[kept], self.whole[kept], self.jackknife)

    def share(self) -> Interval:
        """Average it over the depths; NaN where nothing is displaced at one."""
        return self.jackknife.ratio(self.common.T / len(self.common), self.whole.T).interval

    def shares(self) -> list[Interval]:
        """Give the share at each depth by itself: [depths], not adjusted for how many there are."""
        return [self.at([depth]).share() for depth in range(len(self.common))]
