"""How far next-token distributions are apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import positive_ratio, ratio_of_means


def divergence(p: Real, q: Real) -> Array:
    """KL(p || q) = sum of p (log p - log q) over the last axis, in nats.

    Log-probabilities [..., vocabulary] give [...]. They are taken to be normalised. docs/verdicts.md#chimera
    has it of the next token, #factorial of several.
    """
    exact = p.astype(np.float64)
    return np.asarray((np.exp(exact) * (exact - q)).sum(-1))


def jeffreys(log_probs: Sequence[Real]) -> Array:
    """(KL(p || q) + KL(q || p)) / 2 of every two, in nats: n of [probes, vocabulary] give [n, n, probes].

    Source: Jeffreys 1946. Unlike the Jensen-Shannon divergence it has no bound, which all that is far apart
    would share. See docs/verdicts.md#equivalence.
    """
    by_probe = list(zip(*log_probs, strict=True))
    distances = np.empty((len(log_probs), len(log_probs), len(by_probe)))
    for probe, rows in enumerate(by_probe):
        exact = np.array(rows, dtype=np.float64)
        across = np.exp(exact) @ exact.T
        kl = across.diagonal()[:, None] - across
        distances[..., probe] = np.maximum((kl + kl.T) / 2, 0.0)
    return distances


def in_units(values: Array, of: Array) -> Array:
    """Values in units of the mean of others, values / mean(of), of any shape; NaN where that mean is 0.

    See docs/verdicts.md#equivalence.
    """
    return np.asarray(values / (float(of.mean()) or nan))


@dataclass(frozen=True)
class Explained:
    """How much of a distribution's distance from bare another one explains: KL in nats, [probes] each.

    See docs/verdicts.md#chimera, `KL ratio`.
    """

    left: Array  # KL of the distribution from the other one
    whole: Array  # KL of the distribution from bare

    @classmethod
    def of(cls, judged: Real, by: Real, bare: Real) -> "Explained":
        """Take KL(judged || by) and KL(judged || bare), from log-probabilities [probes, vocabulary]."""
        return cls(divergence(judged, by), divergence(judged, bare))

    @property
    def by_probe(self) -> Array:
        """KL of the distribution from the other one, in units of the mean from bare: [probes]."""
        return in_units(self.left, self.whole)

    def ratio(self, clusters: Sequence[str]) -> Interval:
        """Mean KL(judged || by) / mean KL(judged || bare).

        0 when all is explained, 1 when no more than by bare, above 1 when misled. Its interval allows for a
        question further out than any that was drawn (`positive_ratio`).
        """
        return positive_ratio(self.left, self.whole, clusters)


@dataclass(frozen=True)
class Lean:
    """Which of two others something is nearer to, from its distances [probes] to both.

    lean = (mean first - mean second) / (mean first + mean second). See docs/verdicts.md#equivalence.
    """

    first: Array
    second: Array

    @property
    def value(self) -> float:
        """-1 at the first, 1 at the second, 0 half way; NaN where there is no distance at all."""
        whole = float(self.first.mean() + self.second.mean())
        return float(self.first.mean() - self.second.mean()) / whole if whole > 0 else nan

    def beyond(self, other: "Lean", clusters: Sequence[str]) -> Interval:
        """How much further it leans to the second than something else does, -2 to 2.

        A difference of two ratios, paired by probe and tested as one; clusters are taken to be independent.
        """
        above = np.stack([self.first - self.second, other.second - other.first])
        return ratio_of_means(
            above, np.stack([self.first + self.second, other.first + other.second]), clusters
        )
