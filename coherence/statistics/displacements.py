"""Displacements: how far conditions move the residual stream from bare, and how alike they do."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.alignment import Alignment
from coherence.statistics.generic import Generic, outside
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


@dataclass(frozen=True, eq=False)
class Displacements:
    """Displacements of conditions, and what control personas share in the same regimes.

    The displacement of probe q is d(q) = h(q) - h_bare(q), its specific part what lies outside of the control
    personas' mean directions. See docs/verdicts.md#directions.
    """

    rows: Mapping[Any, int]  # of each condition, whatever those are
    raw: Real  # [conditions, depths, probes, width]
    generic: Generic
    bare: Real  # activations, [depths, probes, width]
    clusters: Sequence[str]
    _own: dict[Any, Array] = field(default_factory=dict, init=False, repr=False)  # products, by condition

    def at(self, depths: list[int]) -> "Displacements":
        """Return the displacements at these depths alone: what is averaged is averaged over them."""
        kept = self.raw[:, depths], self.generic.at(depths), self.bare[depths]
        return Displacements(self.rows, *kept, self.clusters)

    def of(self, condition: Hashable) -> Real:
        """Displacement of one condition: [depths, probes, width]."""
        return np.asarray(self.raw[self.rows[condition]])

    def still(self, condition: Hashable) -> NDArray[np.bool_]:
        """Where a condition moves the model by no more than rounding, and has no cosine: [depths]."""
        return still(self.of(condition), self.bare)

    def raw_cosine(self, first: Hashable, second: Hashable) -> Array:
        """Cosine of two mean displacements, generic component and noise included: [depths]."""
        return cosine(_mean(self.of(first)), _mean(self.of(second)))

    def compared(self, first: Hashable, second: Hashable, without: int | None = None) -> Alignment:
        """Compare the specific parts of two conditions, where `without` leaves out one unit of the controls.

        The controls whose mean is taken out of one side are never those of the other: see `Generic.products`.
        """
        one, other = self.of(first), self.of(second)
        if without is None:
            products = self._with_itself(first), self._with_itself(second)
            return Alignment.from_products(self.generic.products(one, other), *products, self.clusters)
        generic = self.generic.without(without)
        return Alignment.from_products(
            generic.products(one, other),
            generic.products(one, one),
            generic.products(other, other),
            self.clusters,
        )

    def _with_itself(self, condition: Hashable) -> Array:
        # Kept, as one condition is compared with many.
        if condition not in self._own:
            self._own[condition] = self.generic.products(self.of(condition), self.of(condition))
        return self._own[condition]

    def specific(self, condition: Hashable) -> Real:
        """Keep what lies outside of what all controls share: [depths, probes, width].

        Of one condition alone: two of them still hold the same share of the controls' own parts.
        """
        return outside(self.of(condition), self.generic.spanned())

    def by_probe(self, first: Hashable, second: Hashable) -> Array:
        """Specific cosine of each probe alone, averaged over depths: [probes]."""
        return np.asarray(cosine(self.specific(first), self.specific(second)).mean(0))

    def ceiling(self, first: Hashable, second: Hashable, seed: int) -> Array:
        """Highest cosine that directions of this reliability can show, sqrt(r_A r_B): [depths].

        See docs/verdicts.md#directions.
        """
        return ceiling(self.specific(first), self.specific(second), self.clusters, seed)

    def chance(self, condition: Hashable, seed: int) -> Array:
        """95 % quantile of |cos| with random directions of the bare activations' covariance: [depths]."""
        return random_null(self.bare, _mean(self.specific(condition)), seed)

    def massive(self, first: Hashable, second: Hashable) -> tuple[Array, Array]:
        """Larger energy share of the top three dimensions, and the cosine without them: [depths] each."""
        one, other = _mean(self.specific(first)), _mean(self.specific(second))
        share = np.maximum(massive_share(one), massive_share(other))
        return share, cosine_without_massive(one, other)


def _mean(displacements: Real) -> Array:
    return np.asarray(displacements.mean(-2, dtype=np.float64))
