"""Inner products between probes: enough to compare mean directions under any weights of the probes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.geometry import Array, Real, form


@dataclass(frozen=True)
class Products:
    """Inner products [..., n, n] of each probe's vector on one side with each probe's on the other.

    A bootstrap resample draws probes twice, and a plain inner product of its means counts the noise of such a
    probe as agreement with itself: cosines would be biased in every resample. Pairs of the same cluster are
    therefore kept apart from pairs of different clusters, and weigh what they weigh in the sample.
    """

    between: Array  # pairs of different clusters, 0 elsewhere: [..., n, n]
    within: Array  # sums over the pairs of one cluster, by probe: [..., n]
    apart: NDArray[np.bool_]  # which pairs are of different clusters: [n, n]

    @classmethod
    def of(cls, first: Real, second: Real, clusters: Sequence[str]) -> "Products":
        """From per-probe vectors [..., n, width] of the two sides, which broadcast."""
        gram = np.asarray(first @ np.swapaxes(second, -1, -2), dtype=np.float64)
        names = np.asarray(clusters)
        apart = names[:, None] != names[None, :]
        return cls(np.where(apart, gram, 0.0), np.where(apart, 0.0, gram).sum(-1), apart)

    def across(self, weights: Array) -> Array:
        """Mean over pairs of different clusters, [..., resamples]: noise of a probe is in no such pair.

        NaN where a resample holds a single cluster.
        """
        share = form(weights, self.apart.astype(np.float64), weights)
        return form(weights, self.between, weights) / np.where(share > 0, share, np.nan)

    def total(self, weights: Array) -> Array:
        """Inner product of the two weighted means, [..., resamples]; exactly that when weights are equal."""
        share = float(self.apart.mean())
        return share * self.across(weights) + self.within @ weights.T / len(self.apart)


def corrected(cross: Products, first: Products, second: Products, weights: Array) -> Array:
    """Cosine freed from noise, [..., resamples]: in expectation the plain one divided by its ceiling.

    All three inner products run over different clusters, so that noise of a probe which both sides share is
    not counted as agreement (the cross-validated inner product of Walther et al. 2016, NeuroImage 137).
    Not bound to 1; NaN where a direction is not told from noise.
    """
    return _cosine(cross.across(weights), first.across(weights), second.across(weights))


def plain(cross: Products, first: Products, second: Products, weights: Array) -> Array:
    """Cosine of the two weighted means, [..., resamples], noise included."""
    return _cosine(cross.total(weights), first.total(weights), second.total(weights))


def _cosine(cross: Array, first: Array, second: Array) -> Array:
    known = (first > 0) & (second > 0)
    return cross / np.sqrt(np.where(known, first * second, np.nan))
