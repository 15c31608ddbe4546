"""Whether a set of personas is as many in one regime as in another: how far apart, and in how many ways."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.mean_gram import MeanGram, centred


@dataclass(frozen=True, eq=False)
class Distinctness:
    """A set of personas in two regimes, each less the mean of its regime.

    Where all are pulled towards their mean, the cosines of what is left do not change: what does is how far
    apart they stand, and where two become one, in how many ways. See docs/verdicts.md#distinct.
    """

    gram: MeanGram  # the centred directions of the first regime, then those of the second

    @classmethod
    def of(cls, first: Real, second: Real, clusters: Sequence[str]) -> "Distinctness":
        """From displacements of each persona and probe, [personas, sites, probes, width] in both regimes."""
        weights = np.asarray(np.kron(np.eye(2), centred(len(first))), np.float64)
        return cls(MeanGram.of(np.concatenate([first, second]), clusters).among(weights))

    def spread(self) -> Interval:
        """How far apart they stand in the second regime along the ways that they do in the first.

        sum over personas of <b, a> / sum of <a, a>, averaged over sites: 1 where it is as far, 1 - c where
        all are pulled towards their mean by a share c. A ratio, whose interval is Fieller's (1954).
        """
        between, own = (np.trace(self._block(0, side), axis1=-2, axis2=-1) for side in (1, 0))
        length = np.where(own > 0, own, nan)
        return self.gram.jackknife.ratio(between.T / len(between), length.T).interval

    def rank(self) -> Interval:
        """Effective rank of the second regime over that of the first, averaged over sites.

        It is the participation ratio (tr G)^2 / tr G^2 of the centred Gram matrix: the number of directions
        among which equal shares of the variance would give it. The square of an inner product is larger than
        the square of its truth by the variance, which is subtracted.
        """
        ratios = (self._rank(1) / self._rank(0)).mean(0)
        return self.gram.jackknife.around(float(ratios[0]), ratios).interval

    def ranks(self) -> tuple[float, float]:
        """Effective rank in either regime, averaged over sites; NaN where nothing is told from noise."""
        first, second = (float(self._rank(side)[:, 0].mean()) for side in (0, 1))
        return first, second

    def _rank(self, side: int) -> Array:
        """[sites, 1 + clusters]."""
        gram, half = self._block(side, side), self._half
        rows = slice(side * half, (side + 1) * half)
        noise = self.gram.variance()[:, rows, rows].sum((-2, -1))
        trace = np.trace(gram, axis1=-2, axis2=-1)
        squares = np.square(gram).sum((-2, -1)) - noise[:, None]
        known = (trace > 0) & (squares > 0)
        return np.asarray(np.where(known, trace**2, nan) / np.where(known, squares, 1.0))

    def _block(self, left: int, right: int) -> Array:
        half = self._half
        return self.gram.products[..., left * half : (left + 1) * half, right * half : (right + 1) * half]

    @property
    def _half(self) -> int:
        return int(self.gram.products.shape[-1]) // 2
