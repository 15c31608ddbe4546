"""How the position between two poles answers the weight of a mixture of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.products import Products


@dataclass(frozen=True)
class Response:
    """Positions along the pole-to-pole axis, for the weights `at` [mixtures] rising from 0 to 1.

    In the methods `drawn` are weights of the probes [resamples, probes], rows sum to 1; undefined is NaN.
    Inner products run over probes of different clusters, so that the noise of a probe is never its position.
    """

    at: Array
    moved: Products  # displacement from the negative pole, with the axis: [mixtures]
    axis: Products  # the axis with itself: []

    @classmethod
    def of(cls, at: Iterable[float], mixed: Real, axis: Real, clusters: Sequence[str]) -> "Response":
        """From residuals [mixtures, probes, width], negative pole first, and axes [probes, width]."""
        return cls(
            np.array(tuple(at)),
            Products.of(mixed - mixed[0], axis, clusters),
            Products.of(axis, axis, clusters),
        )

    def separation(self, drawn: Array) -> Array:
        """Distance of the regime's poles along the mean axis, over the length of that axis: [resamples]."""
        return np.asarray(_over(self.moved.across(drawn)[-1], self.axis.across(drawn)))

    def position(self, drawn: Array) -> Array:
        """m(w): 0 at the regime's negative pole and 1 at its positive one: [resamples, mixtures]."""
        moved = self.moved.across(drawn)
        return _over(moved, moved[-1]).T

    def position_at(self, row: int, drawn: Array) -> Array:
        """Evaluate m at one of the weights: [resamples]."""
        return self.position(drawn)[:, row]

    def area(self, drawn: Array) -> Array:
        """Signed area under D(w) = m(w) - w; above 0 the positive pole attracts: [resamples]."""
        return np.asarray(np.trapezoid(self.position(drawn) - self.at, self.at, axis=1))

    def tipping(self, drawn: Array) -> Array:
        """Smallest weight at which m reaches 1/2, by linear interpolation: [resamples]."""
        position = self.position(drawn)
        after = np.argmax(position >= 0.5, axis=1)
        rows = np.arange(len(position))
        start, end = position[rows, after - 1], position[rows, after]
        run = self.at[after] - self.at[after - 1]
        return np.asarray(self.at[after - 1] + run * (0.5 - start) / (end - start))

    def pull(self) -> Array:
        """Signed area of each probe on the scale of them all: [probes]."""
        along = self.moved.between.sum(-1) / self.moved.apart.sum(-1)
        return np.asarray(np.trapezoid((along / along[-1].mean()).T - self.at, self.at, axis=1))


def _over(above: Array, below: Array) -> Array:
    return np.asarray(above / np.where(below == 0, np.nan, below))
