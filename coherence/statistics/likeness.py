"""How alike two conditions move the model, when they need not move it equally far."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.comparison import Comparison
from coherence.statistics.geometry import Array, Real, ceiling, cosine, outside, random_null, still


@dataclass(frozen=True)
class Displacement:
    """What a condition, and control personas in the same regime, do to the residual stream."""

    raw: Real  # [depths, probes, width]
    controls: Real  # [controls, depths, probes, width]

    def at(self, depths: list[int]) -> "Displacement":
        """Keep some depths only."""
        return Displacement(self.raw[depths], self.controls[:, depths])

    @cached_property
    def specific(self) -> Real:
        """What lies outside the generic direction: [depths, probes, width]."""
        return self._outside(self.raw)

    @cached_property
    def foreign(self) -> Real:
        """The same of the controls: [controls, depths, probes, width]."""
        return self._outside(self.controls)

    def _outside(self, displacement: Real) -> Real:
        # A sum of two holds the generic component about twice, less where the model saturates: projecting it
        # out needs no amount, where subtracting the controls' mean would be right for one persona only.
        return outside(displacement, self.controls.mean((0, 2))[None])


@dataclass(frozen=True)
class Likeness:
    """Cosines of two conditions' mean displacements from bare, at each depth or over all of them."""

    first: Displacement
    second: Displacement
    bare: Real  # activations, [depths, probes, width]

    def at(self, depths: list[int]) -> "Likeness":
        """Keep some depths only."""
        return Likeness(self.first.at(depths), self.second.at(depths), self.bare[depths])

    def still(self) -> NDArray[np.bool_]:
        """Which condition does not move the model at all: [2, depths]."""
        return np.stack([still(side.raw, self.bare) for side in (self.first, self.second)])

    def raw(self) -> Array:
        """Cosine with the generic component: [depths]."""
        return cosine(self.first.raw.mean(-2), self.second.raw.mean(-2))

    def specific(self) -> Array:
        """Cosine without the generic component, noise included: [depths]."""
        return cosine(self.first.specific.mean(-2), self.second.specific.mean(-2))

    def foreign(self) -> Array:
        """Cosine of each control of the first side with the second side: [controls, depths]."""
        return cosine(self.first.foreign.mean(-2), self.second.specific.mean(-2))

    def ceiling(self, clusters: Sequence[str], seed: int) -> Array:
        """Highest cosine that directions of this reliability can show, sqrt(r_A r_B): [depths]."""
        return ceiling(self.first.specific, self.second.specific, clusters, seed)

    def chance(self, seed: int) -> Array:
        """95 % quantile for random directions with the covariance of the bare activations: [depths]."""
        return random_null(self.bare, self.second.specific.mean(-2), seed)

    def compared(self, clusters: Sequence[str]) -> Comparison:
        """Specific directions of the two sides."""
        return Comparison(self.first.specific, self.second.specific[None], clusters)
