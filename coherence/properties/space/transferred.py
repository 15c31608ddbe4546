"""What of an adapter's effect on its own replies is there where something is changed about it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from coherence.plan import Condition, Likelihood, Record, Reply, Scene, Steer
from coherence.statistics.effect_slope import Effects
from coherence.statistics.geometry import Array, Real
from coherence.vocabulary import Regime

FAINT = 0.01  # nats; an adapter that changes a token by less on average has no effect to be taken away


@dataclass(frozen=True)
class Transferred(ABC):
    """One persona's adapter, and a vector of the release. What is read is what the adapter says by itself.

    With `drawn`, a seed, the vector's direction is a random one.
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
    @abstractmethod
    def changed(self) -> Condition:
        """What is held against it."""

    @property
    def steer(self) -> Steer:
        """The vector at its usual dose."""
        return Steer(self.vector, self.scene.release.vectors[self.vector].usual_dose, self.drawn)

    def needs(self) -> list[Likelihood]:
        """Read the adapter's own replies bare, under it, and under what is held against it."""
        return [one for condition in self._conditions for one in self._likelihoods(condition)]

    def effects(self, record: Record) -> Effects:
        """Log p(token | persona) - log p(token | bare), changed against as it is."""
        bare, whole, changed = (
            [record.likelihood(one) for one in self._likelihoods(condition)] for condition in self._conditions
        )
        return Effects.of(_less(changed, bare), _less(whole, bare), self.scene.clusters)

    def size(self, record: Record) -> float:
        """Root mean square of the adapter's effect on a token, in nats."""
        tokens = sum(record.likelihood(one).size for one in self._likelihoods(self.whole))
        return float(np.sqrt(self.effects(record).reference.sum() / tokens)) if tokens else 0.0

    @property
    def _conditions(self) -> tuple[Condition, Condition, Condition]:
        return self.scene.bare, self.whole, self.changed

    def _likelihoods(self, condition: Condition) -> list[Likelihood]:
        replies = (Reply(self.whole, probe, self.scene.decoding) for probe in self.scene.probes)
        return [Likelihood(condition, reply.probe, reply) for reply in replies]


@dataclass(frozen=True)
class Ablation(Transferred):
    """The adapter, and a vector that takes the direction of another's away: h - (h.r) r."""

    @property
    def changed(self) -> Condition:
        """The adapter without the direction."""
        return replace(self.whole, steers=(self.steer,))


@dataclass(frozen=True)
class Replacement(Transferred):
    """A vector in the adapter's place."""

    @property
    def changed(self) -> Condition:
        """The vector alone."""
        return replace(self.scene.bare, steers=(self.steer,))


def _less(these: Sequence[Real], those: Sequence[Real]) -> list[Array]:
    return [np.subtract(one, other, dtype=np.float64) for one, other in zip(these, those, strict=True)]
