"""How far next-token distributions are apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife


def divergence(p: Real, q: Real) -> Array:
    """KL(p || q) along the last axis, in nats, from log-probabilities [..., vocabulary]."""
    exact = p.astype(np.float64)
    return np.asarray((np.exp(exact) * (exact - q)).sum(-1))


@dataclass(frozen=True)
class Explained:
    """How much of a distribution's distance from bare another one explains: KL in nats, [probes] each."""

    left: Array  # KL of the distribution from the other one
    whole: Array  # KL of the distribution from bare

    @classmethod
    def of(cls, judged: Real, by: Real, bare: Real) -> "Explained":
        """From log-probabilities [probes, vocabulary]."""
        return cls(divergence(judged, by), divergence(judged, bare))

    def ratio(self, clusters: Sequence[str]) -> Interval:
        """0 when all is explained, 1 when no more than by bare, above 1 when misled."""
        jackknife = Jackknife(clusters)
        above, below = ((jackknife.weights @ kl)[:, None] for kl in (self.left, self.whole))
        return jackknife.ratio(above, below).interval
