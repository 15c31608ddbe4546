"""A scene with something else in the place of a persona."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

from coherence.plan.measurement import Condition
from coherence.plan.scene import Scene
from coherence.vocabulary import Regime

Mixture = Callable[[Mapping[str, float], Regime], Condition]


@dataclass(frozen=True, kw_only=True)
class Recast(Scene):
    """A scene that puts something else into the model in one regime, and is as it was in all others."""

    regime: Regime
    instead: Mixture

    @classmethod
    def of(cls, scene: Scene, regime: Regime, instead: Mixture) -> "Recast":
        """Take the mixtures of the regime from elsewhere."""
        kept = {field.name: getattr(scene, field.name) for field in fields(Scene)}
        return cls(**kept, regime=regime, instead=instead)

    def mixture(self, weights: Mapping[str, float], regime: Regime) -> Condition:
        """Put several personas into the model, or what takes their places in that regime."""
        return (self.instead if regime == self.regime else super().mixture)(weights, regime)
