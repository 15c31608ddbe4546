"""How far activations depart from those that they should be, in units of what these differ from bare."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.geometry import Array, Real, still
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import ratio_of_means


@dataclass(frozen=True)
class Departure:
    """Distances from what was expected, |found - expected|, and of that from bare, |expected - bare|.

    Both are [depths, probes]. See docs/verdicts.md#algebra.
    """

    left: Array
    whole: Array
    still: NDArray[np.bool_]  # [depths], whether what was expected moves nothing

    @classmethod
    def of(cls, found: Real, expected: Real, bare: Real) -> "Departure":
        """Measure Euclidean distances in activations, [depths, probes, width] each."""
        moved = expected - bare
        return cls(_length(found - expected), _length(moved), still(moved, bare))

    def at(self, depths: Sequence[int]) -> "Departure":
        """Return the distances at these depths alone: what is averaged is averaged over them."""
        kept = list(depths)
        return Departure(self.left[kept], self.whole[kept], self.still[kept])

    def ratio(self, clusters: Sequence[str]) -> Interval:
        """Mean |found - expected| / mean |expected - bare| over probes, averaged over the depths.

        A ratio, tested after Fieller (1954); clusters [probes] are taken to be drawn independently.
        """
        return ratio_of_means(self.left / len(self.left), self.whole, clusters)

    def by_depth(self) -> Array:
        """Give the same at each depth, [depths]; NaN where it moves nothing."""
        return np.asarray(self.left.mean(-1) / np.where(self.still, np.nan, self.whole.mean(-1)))

    def by_probe(self) -> Array:
        """Give the same for each probe, averaged over the depths: [probes]."""
        return np.asarray((self.left / np.where(self.whole > 0, self.whole, np.nan)).mean(0))


def _length(vectors: Real) -> Array:
    return np.asarray(np.linalg.norm(vectors.astype(np.float64), axis=-1))
