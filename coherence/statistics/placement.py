"""Where conditions stand on an axis between two means of conditions, and whether that axis is one."""

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.generic import halvings
from coherence.statistics.geometry import Array
from coherence.statistics.intervals import Interval
from coherence.statistics.mean_gram import MeanGram


@dataclass(frozen=True, eq=False)
class Placement:
    """The axis from the mean of some conditions (0) to that of others (1), at one site.

    <x - low, high - low> / <high - low, high - low>: a ratio without the noise of a probe, whose interval is
    Fieller's (1954). The assistant axis leads from roles to default prompts (arXiv 2601.10387). See
    docs/verdicts.md#space.
    """

    gram: MeanGram
    low: Array  # weights of conditions, each with a sum of 1: [conditions]
    high: Array

    @property
    def axis(self) -> Array:
        """Weights of the axis, with the sum 0."""
        return np.asarray(self.high - self.low)

    def length(self) -> Interval:
        """Squared length of the axis: it is told from noise where the interval is above 0."""
        squares = self._along(self.axis)
        return self.gram.jackknife.around(float(squares[0]), squares).interval

    def of(self, weights: Array) -> Interval:
        """Position of a mean of conditions, by its weights."""
        return self.moved(weights - self.low)

    def moved(self, weights: Array) -> Interval:
        """How far a difference of conditions leads along the axis, by weights with the sum 0."""
        squares = self._along(self.axis)
        length = np.where(squares > 0, squares, nan)
        return self.gram.jackknife.ratio(self._along(weights)[:, None], length[:, None]).interval

    def stability(self) -> Interval:
        """Cosine of the axes that halves of the low conditions make, averaged over ways to part them.

        In expectation that of two samples of half as many roles with all probes each. See `halvings`.
        """
        members = np.flatnonzero(self.low)
        ways = halvings(len(members))
        one, other = (
            np.stack([self.high - _mean(members[way[side]], len(self.low)) for way in ways])
            for side in (0, 1)
        )
        above, first, second = (
            np.einsum("wi,rij,wj->rw", left, self.gram.products[0], right)
            for left, right in ((one, other), (one, one), (other, other))
        )
        known = (first > 0) & (second > 0)
        lengths = np.sqrt(np.where(known, first * second, nan))
        return self.gram.jackknife.ratio(above / len(ways), lengths).interval

    def _along(self, weights: Array) -> Array:
        """Inner products with the axis: [1 + clusters]."""
        return np.asarray(self.gram.between(weights[None], self.axis[None])[0, :, 0, 0])


def _mean(members: NDArray[np.intp], count: int) -> Array:
    weights = np.zeros(count)
    weights[members] = 1 / len(members)
    return weights
