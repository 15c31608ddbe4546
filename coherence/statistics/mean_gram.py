"""Inner products of the mean displacements of many conditions, without the noise of a probe."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.jackknife import Jackknife


@dataclass(frozen=True, eq=False)
class MeanGram:
    """<a, b> of every two conditions: of the sample, and without each of its clusters.

    Each is the mean of a(q) . b(q') over pairs of probes of different clusters (Walther et al. 2016,
    NeuroImage 137), so that a mean's own noise adds nothing to its length. The mean of conditions is a row
    of weights, and what lies between two of them a row with the sum 0. See docs/verdicts.md#persona-space.
    """

    products: Array  # [sites, 1 + clusters, conditions, conditions]
    jackknife: Jackknife

    @classmethod
    def of(cls, displaced: Real, clusters: Sequence[str]) -> "MeanGram":
        """From displacements of each probe, [conditions, sites, probes, width].

        NaN where a sample, or a sample without one of its clusters, has a single cluster.
        """
        members = np.unique(np.asarray(clusters), return_inverse=True)[1]
        sizes = np.bincount(members).astype(np.float64)
        each = (members == np.arange(len(sizes))[:, None]).astype(np.float64)
        by_site = [_apart(each @ site.astype(np.float64), sizes) for site in np.swapaxes(displaced, 0, 1)]
        return cls(np.stack(by_site), Jackknife(clusters))

    def between(self, left: Array, right: Array) -> Array:
        """Inner products of weighted sums of conditions, [a, conditions] and [b, conditions].

        [sites, 1 + clusters, a, b].
        """
        return np.asarray(left @ self.products @ right.T)

    def among(self, weights: Array) -> "MeanGram":
        """Take weighted sums of conditions, [sums, conditions], in the place of the conditions."""
        return MeanGram(self.between(weights, weights), self.jackknife)

    def variance(self) -> Array:
        """Variance of every inner product, by the jackknife: [sites, conditions, conditions]."""
        share = 1 - 1 / self.jackknife.size
        apart = self.products[:, :1] - self.products[:, 1:]
        return np.asarray(share * np.square(apart).sum(1))


def centred(count: int) -> Array:
    """Weights that take the mean of `count` conditions away from each: [count, count]."""
    return np.asarray(np.eye(count) - 1 / count)


def _apart(sums: Array, sizes: Array) -> Array:
    """Multiply sums over clusters [conditions, clusters, width], but for those of one cluster.

    (S S' - sum of s_c s_c') over the number of pairs, where each row but the first leaves one cluster out of
    S and of the sum: [1 + clusters, conditions, conditions].
    """
    whole = sums.sum(1)
    by_cluster = np.swapaxes(sums, 0, 1)
    within = by_cluster @ np.swapaxes(by_cluster, -1, -2)
    along = by_cluster @ whole.T
    every, diagonal = whole @ whole.T, within.sum(0)
    left_out = every - along - np.swapaxes(along, -1, -2) + 2 * within - diagonal
    rest, squares = sizes.sum() - sizes, np.square(sizes).sum() - np.square(sizes)
    pairs = np.append(np.square(sizes.sum()) - np.square(sizes).sum(), np.square(rest) - squares)
    above = np.concatenate([(every - diagonal)[None], left_out])
    return np.asarray(above / np.where(pairs > 0, pairs, np.nan)[:, None, None])
