"""95 % intervals, and Wilson's for a proportion."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import erfc, inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from coherence.vocabulary import Influence

Array = NDArray[np.float64]

TAIL = 0.025  # doubt at either end of an interval
Z = 1.959963984540054  # quantile of the normal distribution above which lies that tail


def _unknown(_bound: float) -> float:
    return 1.0


@dataclass(frozen=True)
class Interval:
    """An estimate inside its 95 % interval; -inf to inf says that nothing is known.

    `doubt(bound)` is the one-sided p of the hypothesis that the truth lies at the bound or beyond it, as seen
    from the estimate: at either end of the interval 0.025, and smoothly on to 0 outside.
    `influence` says what each cluster of probes adds to the estimate, where the statistic knows it.
    See docs/verdicts.md#intervals.
    """

    value: float
    low: float
    high: float
    doubt: Callable[[float], float] = field(default=_unknown, compare=False, repr=False)
    influence: Influence | None = field(default=None, compare=False, repr=False)

    @classmethod
    def unknown(cls, value: float = nan) -> "Interval":
        """Say that nothing is known of it but what came out."""
        return cls(value, -inf, inf)

    def above(self, amount: float) -> "Interval":
        """Subtract an amount that is known: estimate, interval and bounds move by as much."""
        ends = self.value - amount, self.low - amount, self.high - amount
        return Interval(*ends, lambda bound: self.doubt(bound + amount), self.influence)

    def __neg__(self) -> "Interval":
        """Mirror it: the truth with the other sign."""
        influence = self.influence
        if influence is not None:
            clusters = {name: -adds for name, adds in influence.clusters.items()}
            influence = influence.model_copy(update={"clusters": clusters})
        ends = -self.value, -self.high, -self.low
        return Interval(*ends, lambda bound: self.doubt(-bound), influence)


def wilson(hits: float, n: int) -> Interval:
    """Wilson's score interval of a proportion p = hits / n, with z the normal quantile at 97.5 %.

    (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n). `hits` may be fractional. It has
    width at 0 and at n as well, and takes the n as drawn independently. See docs/verdicts.md#intervals.
    """
    if n == 0:
        return Interval(nan, 0.0, 1.0)
    rate = hits / n
    centre = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))

    # The bound's own spread, and not the sample's: a sample of nothing but hits has none.
    def doubt(bound: float) -> float:
        spread = sqrt(max(0.0, bound * (1 - bound)) / n)
        return erfc(abs(rate - bound) / spread / sqrt(2)) / 2 if spread else float(bound == rate) / 2

    return Interval(rate, min(rate, max(0.0, centre - half)), max(rate, min(1.0, centre + half)), doubt)
