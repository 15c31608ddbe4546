"""Directions of several personas in two regimes, free of what all the personas have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.comparison import Comparison
from coherence.statistics.geometry import (
    Array,
    Real,
    ceiling,
    cosine,
    cosine_without_massive,
    massive_share,
    random_null,
    still,
)


@dataclass(frozen=True)
class Directions:
    """Displacements from bare in two regimes, [personas, depths, probes, width], the judged persona first."""

    first: Real
    second: Real
    bare: Real  # activations, [depths, probes, width]

    def at(self, depths: list[int]) -> "Directions":
        """Keep some depths only."""
        return Directions(self.first[:, depths], self.second[:, depths], self.bare[depths])

    @cached_property
    def specific(self) -> tuple[Real, Real]:
        """Displacements without the mean over all personas: the generic component.

        Leaving a persona out of its own mean gives the same direction, longer by n / (n - 1).
        """
        return _without_mean(self.first), _without_mean(self.second)

    @cached_property
    def means(self) -> tuple[Array, Array]:
        """Specific directions over all probes, [personas, depths, width]."""
        first, second = self.specific
        return _over_probes(first), _over_probes(second)

    def still(self) -> NDArray[np.bool_]:
        """Where a persona does not move the model at all: [regimes, personas, depths]."""
        return np.stack([still(side, self.bare) for side in (self.first, self.second)])

    def raw_cosine(self) -> Array:
        """Cosine of the judged persona's displacements, generic component included: [depths]."""
        return cosine(_over_probes(self.first[0]), _over_probes(self.second[0]))

    def cosines(self) -> Array:
        """Cosine of the judged persona, first regime, and each persona, second one: [personas, depths]."""
        first, second = self.means
        return cosine(first[0], second)

    def by_probe(self) -> Array:
        """Specific cosine of each probe alone, averaged over depths: [probes]."""
        first, second = self.specific
        return np.asarray(cosine(first[0], second[0]).mean(0))

    def ceiling(self, clusters: Sequence[str], seed: int) -> Array:
        """Highest cosine that directions of this reliability can show, sqrt(r_A r_B): [depths]."""
        first, second = self.specific
        return ceiling(first[0], second[0], clusters, seed)

    def chance(self, seed: int) -> Array:
        """95 % quantile for random directions with the covariance of the bare activations: [depths]."""
        return random_null(self.bare, self.means[0][0], seed)

    def compared(self, clusters: Sequence[str]) -> Comparison:
        """Specific direction of the judged persona, first regime, with those of all, second one."""
        first, second = self.specific
        return Comparison(first[0], second, clusters)

    def massive(self) -> tuple[Array, Array]:
        """Larger energy share of the top three dimensions, and the cosine without them: [depths] each."""
        first, second = (means[0] for means in self.means)
        share = np.maximum(massive_share(first), massive_share(second))
        return share, cosine_without_massive(first, second)


def _without_mean(raw: Real) -> Real:
    return np.asarray(raw - raw.mean(0, keepdims=True))


def _over_probes(vectors: Real) -> Array:
    return np.asarray(vectors.mean(-2, dtype=np.float64))
