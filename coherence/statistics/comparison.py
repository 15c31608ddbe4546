"""Cosines of mean directions, free of noise and averaged over depths, with their intervals."""

from collections.abc import Sequence

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife, Pivot, smallest
from coherence.statistics.products import Products


class Comparison:
    """A direction, [depths, probes, width], beside its own in another regime and foreign ones there.

    All inner products run over probes of different clusters, so that noise of a probe which both sides share
    is not counted as agreement (the cross-validated inner product of Walther et al. 2016, NeuroImage 137). In
    expectation that is the plain cosine divided by its ceiling. It is not bound to 1, and undefined where a
    direction is not told from noise.
    """

    def __init__(self, judged: Real, others: Real, clusters: Sequence[str]) -> None:
        """Others are [directions, depths, probes, width], the own one first."""
        self._jackknife = Jackknife(clusters)

        def across(first: Real, second: Real) -> Array:
            """Inner products [..., depths, 1 + clusters]."""
            return Products.of(first, second, clusters).across(self._jackknife.weights)

        self._above = across(judged, others)
        self._below = _lengths(across(judged, judged), across(others, others))

    def cosine(self) -> Interval:
        """With its own direction."""
        return self._summed(self._above[0], self._below[0]).interval

    def margin(self) -> Interval:
        """Cosine with its own direction, minus the largest with a foreign one, whichever that is."""
        own, length = self._above[0], self._below[0]
        return smallest(
            [
                self._summed(np.vstack([own, -above]), np.vstack([length, below]))
                for above, below in zip(self._above[1:], self._below[1:], strict=True)
            ]
        )

    def _summed(self, above: Array, below: Array) -> Pivot:
        return self._jackknife.ratio(above.T / self._above.shape[1], below.T)


def _lengths(first: Array, second: Array) -> Array:
    """Product of two directions' lengths, from their inner products with themselves; NaN if it is noise."""
    known = (first > 0) & (second > 0)
    return np.sqrt(np.where(known, first * second, np.nan))
