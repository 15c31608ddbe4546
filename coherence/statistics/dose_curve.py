"""At which dose an effect is found again: on the curve of the same effect at several doses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife


@dataclass(frozen=True, eq=False)
class DoseCurve:
    """Where an effect lies on the curve of another at doses from 0, where it has none, to the highest.

    Between two doses effects are interpolated, e = low + share (high - low), and the nearest by least squares
    over all tokens is taken: what a dose does is not linear, so that a slope alone misjudges large ones.
    `sums` are those over the tokens of each probe, [stretches, 3, probes]: of (e - low)^2, of (e - low)
    (high - low), and of (high - low)^2. Clusters are taken to be drawn independently of each other.
    """

    doses: Array
    sums: Array
    clusters: Sequence[str]

    @classmethod
    def of(
        cls, effect: Sequence[Real], curve: Mapping[float, Sequence[Real]], clusters: Sequence[str]
    ) -> "DoseCurve":
        """From effects on the tokens of each probe, [probes] arrays of [tokens], in nats.

        `curve` has those that were measured at each dose above 0; ValueError where there are none.
        """
        if not curve:
            raise ValueError("no dose was measured")
        doses = sorted(curve)
        effects = [[np.zeros(len(one)) for one in effect], *(curve[dose] for dose in doses)]
        sums = [
            np.array([_sums(*tokens) for tokens in zip(effect, low, high, strict=True)]).T
            for low, high in pairwise(effects)
        ]
        return cls(np.array([0.0, *doses]), np.array(sums), clusters)

    @cached_property
    def dose(self) -> Interval:
        """The nearest dose, by the jackknife over clusters: see docs/verdicts.md#served."""
        jackknife = Jackknife(self.clusters)
        doses, _ = self._nearest(jackknife.weights)
        return jackknife.around(float(doses[0]), doses).interval

    @cached_property
    def left(self) -> float:
        """Sum of squares over all tokens that the nearest dose leaves, in nats^2."""
        _, left = self._nearest(np.ones((1, len(self.clusters))))
        return float(left[0])

    @cached_property
    def left_by_probe(self) -> Array:
        """The same of each probe, [probes]."""
        dose = self.dose.value
        stretch = min(int(np.searchsorted(self.doses, dose, side="right")) - 1, len(self.sums) - 1)
        start, end = self.doses[stretch : stretch + 2]
        share = (dose - start) / (end - start)
        whole, along, length = self.sums[stretch]
        left: Array = np.maximum(whole - 2 * share * along + share**2 * length, 0)
        return left

    def _nearest(self, weights: Array) -> tuple[Array, Array]:
        """Find the nearest dose, and what it leaves, where probes have these weights, [rows, probes]."""
        whole, along, length = np.moveaxis(self.sums @ weights.T, 1, 0)
        share = np.clip(along / np.where(length > 0, length, 1.0), 0, 1)
        left = np.maximum(whole - 2 * share * along + share**2 * length, 0)
        stretch, row = left.argmin(0), np.arange(len(weights))
        start, end = self.doses[stretch], self.doses[stretch + 1]
        return start + share[stretch, row] * (end - start), left[stretch, row]


def _sums(effect: Real, low: Real, high: Real) -> tuple[float, float, float]:
    start = np.asarray(effect, np.float64) - low
    way = np.asarray(high, np.float64) - low
    return float(start @ start), float(start @ way), float(way @ way)
