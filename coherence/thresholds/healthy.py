"""What a healthy release shows, from which follows what may be asked of the next one."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from statistics import NormalDist
from typing import Self

import numpy as np

from coherence.statistics import student
from coherence.statistics.intervals import Z
from coherence.thresholds.halves import LEAST_CLUSTERS, spread_of_whole
from coherence.thresholds.side import Side
from coherence.vocabulary import Criterion, Estimate

_KNOWN = 0.75  # a share of the halves with a value, below which they do not tell how the statistic varies
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Healthy:
    """One side of one criterion on the healthy release.

    `end` is the reach of its interval over the whole sample, `value` that of the estimate without its
    interval, and `error` the standard error of `end`, known with so many degrees of `freedom`.
    """

    side: Side
    estimate: Estimate
    value: float
    end: float
    error: float
    freedom: float

    @classmethod
    def of(
        cls, side: Side, whole: Sequence[Criterion], halves: Sequence[Criterion | None], clusters: int
    ) -> Self:
        """From the criterion under several seeds, and on halves of the clusters: some may lack it."""
        estimate = whole[0].estimate
        end = float(np.mean([side.reach(criterion.estimate) for criterion in whole]))
        ends = np.array([side.reach(_at_size(half.estimate, estimate.n)) for half in halves if half])
        ends = ends[np.isfinite(ends)]
        value = side.expected(estimate)
        varied = float(np.std(ends, ddof=1)) * spread_of_whole(clusters) if len(ends) > 1 else inf
        if len(ends) < _KNOWN * len(halves):
            varied = inf
        # Where no half differs, the interval still knows that the next sample may.
        error = max(varied, (value - end) / Z, _ROUNDING)
        # Two sources of doubt about the error: there are few clusters, and few halves of them were drawn.
        freedom = 1 / (1 / (clusters - 1) + 1 / (len(halves) - 1))
        return cls(side, estimate, value, end, error, freedom)

    @property
    def known(self) -> bool:
        """Whether anything can be told from it."""
        return isfinite(self.end) and isfinite(self.error)

    def threshold(self, false_alarm: float) -> float:
        """Find the reach that as healthy a release misses on as many other probes with this probability."""
        return self.end - student.quantile(1 - false_alarm, self.freedom) * sqrt(2) * self.error

    def false_alarm(self, reach: float) -> float:
        """Tell how probable it is that such a release misses the reach: the inverse of `threshold`."""
        return student.below((reach - self.end) / (sqrt(2) * self.error), self.freedom)

    def needed(self, reach: float, power: float) -> float:
        """Give the size of a sample on which it passes with this probability; infinite if its value fails.

        Not below eight, where normal approximations say nothing.
        """
        gap = self.value - reach
        width = self.value - self.end + NormalDist().inv_cdf(power) * self.error
        return max(LEAST_CLUSTERS, self.estimate.n * (width / gap) ** 2) if gap > 0 else inf


def _at_size(estimate: Estimate, n: int) -> Estimate:
    """Give the estimate the interval that it would have on n probes: widths go with 1 / sqrt(n)."""
    scale = sqrt(estimate.n / n)
    low, high = (estimate.value + scale * (end - estimate.value) for end in (estimate.low, estimate.high))
    return estimate.model_copy(update={"low": low, "high": high})
