"""A direction: which way a persona moves the model, at one site and token."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.plan.record import Array
from coherence.statistics.geometry import cosine
from coherence.vocabulary import Position, Regime, Site


@dataclass(frozen=True, eq=False, repr=False)
class Direction:
    """How far a regime moves residuals from bare, outside of what the personas `among` share."""

    persona: str
    regime: Regime
    site: Site
    position: Position
    among: tuple[str, ...]
    by_probe: Array  # displacements, [probes, width]

    @cached_property
    def array(self) -> Array:
        """Mean over the probes, float32 [width]."""
        return np.asarray(self.by_probe.mean(0, dtype=np.float64), dtype=np.float32)

    @property
    def n(self) -> int:
        """How many probes it is the mean of."""
        return len(self.by_probe)

    def cosine(self, other: "Direction") -> float:
        """Cosine of two directions; NaN where one is zero. It has no interval: `Collinearity` gives one."""
        return float(cosine(self.array, other.array))

    def __repr__(self) -> str:
        return f"Direction({self.persona} by {self.regime} at {self.site}, {self.position}, n = {self.n})"
