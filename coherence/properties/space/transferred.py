"""What is left of an adapter's effect where the direction of another one is taken away."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from coherence.plan import Condition, Likelihood, Record, Reply, Scene, Steer
from coherence.statistics.effect_slope import Effects
from coherence.statistics.geometry import Array, Real
from coherence.vocabulary import Regime

FAINT = 0.01  # nats; an adapter that changes a token by less on average has no effect to be taken away


@dataclass(frozen=True)
class Ablation:
    """One persona's adapter, and a vector that takes the direction of another's away: h - (h.r) r.

    With `drawn`, a seed, the direction is a random one. What is read is what the adapter says by itself.
    """

    scene: Scene
    persona: str
    vector: str
    drawn: int | None = None

    @property
    def whole(self) -> Condition:
        """The adapter as it is."""
        return self.scene.condition(self.persona, Regime.ADAPTER)

    @property
    def ablated(self) -> Condition:
        """The adapter without the direction."""
        dose = self.scene.release.vectors[self.vector].usual_dose
        return replace(self.whole, steers=(Steer(self.vector, dose, self.drawn),))

    def needs(self) -> list[Likelihood]:
        """Read the adapter's own replies bare, under it, and under it without the direction."""
        return [one for condition in self._conditions for one in self._likelihoods(condition)]

    def effects(self, record: Record) -> Effects:
        """Log p(token | persona) - log p(token | bare), without the direction against as it is."""
        bare, whole, ablated = (
            [record.likelihood(one) for one in self._likelihoods(condition)] for condition in self._conditions
        )
        return Effects.of(_less(ablated, bare), _less(whole, bare), self.scene.clusters)

    def size(self, record: Record) -> float:
        """Root mean square of the adapter's effect on a token, in nats."""
        tokens = sum(record.likelihood(one).size for one in self._likelihoods(self.whole))
        return float(np.sqrt(self.effects(record).reference.sum() / tokens)) if tokens else 0.0

    @property
    def _conditions(self) -> tuple[Condition, Condition, Condition]:
        return self.scene.bare, self.whole, self.ablated

    def _likelihoods(self, condition: Condition) -> list[Likelihood]:
        replies = (Reply(self.whole, probe, self.scene.decoding) for probe in self.scene.probes)
        return [Likelihood(condition, reply.probe, reply) for reply in replies]


def _less(these: Sequence[Real], those: Sequence[Real]) -> list[Array]:
    return [np.subtract(one, other, dtype=np.float64) for one, other in zip(these, those, strict=True)]
