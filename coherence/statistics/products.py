"""Inner products between probes: enough to compare mean directions when some of the probes are left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.geometry import Array, Real, form


@dataclass(frozen=True)
class Products:
    """Inner products [..., n, n] of each probe's vector on one side with each probe's on the other.

    Those of one cluster are left out: there the noise of a probe would count as agreement with itself
    (Walther et al. 2016, NeuroImage 137). Clusters are taken to have independent noise.
    See docs/verdicts.md#directions.
    """

    between: Array  # pairs of different clusters, 0 elsewhere: [..., n, n]
    apart: NDArray[np.bool_]  # which pairs are of different clusters: [n, n]

    @classmethod
    def of(cls, first: Real, second: Real, clusters: Sequence[str]) -> "Products":
        """Multiply every two vectors of the two sides, [..., n, width] each, which broadcast."""
        return cls.among(np.asarray(first @ np.swapaxes(second, -1, -2), dtype=np.float64), clusters)

    @classmethod
    def among(cls, products: Array, clusters: Sequence[str]) -> "Products":
        """Leave pairs within a cluster out of the inner products of every two probes, [..., n, n]."""
        names = np.asarray(clusters)
        apart = names[:, None] != names[None, :]
        return cls(np.where(apart, products, 0.0), apart)

    def across(self, weights: Array) -> Array:
        """Mean over pairs of different clusters, [..., rows], by weights of the probes [rows, n].

        sum w_q w_q' a(q) . b(q') / sum w_q w_q'. NaN where all the weight lies on a single cluster.
        """
        share = form(weights, self.apart.astype(np.float64), weights)
        return form(weights, self.between, weights) / np.where(share > 0, share, np.nan)
