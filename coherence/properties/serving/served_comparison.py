"""What one persona takes measured, here and at the server, to hold the one against the other."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from coherence.plan import (
    AdapterNumbers,
    Condition,
    Elsewhere,
    Likelihood,
    Measurement,
    PromptIds,
    Reply,
    Scene,
    Served,
    Stated,
)
from coherence.properties.serving.at_doses import LOOKED, at_doses
from coherence.vocabulary import Prompt, Regime

AGAIN = 4
"""Probes that are asked again, after all others."""


@dataclass(frozen=True)
class ServedComparison:
    """One persona by one regime: its `condition` here, and `served_condition` at the server."""

    scene: Scene
    persona: str
    regime: Regime
    condition: Condition
    served_condition: Condition

    @property
    def served_bare(self) -> Condition:
        """What is asked of the server as its bare model: in the regime bare, what stands in its place."""
        return self.scene.bare if self.regime.layers else self.served_condition

    @cached_property
    def at_doses(self) -> list[Measurement]:
        """The same replies at other doses."""
        return self._looked_at(self.curve.values())

    @cached_property
    def at_places(self) -> list[Measurement]:
        """The same replies with the vector at other blocks."""
        return self._looked_at(self.elsewhere.values())

    @cached_property
    def likely_causes(self) -> list[Measurement]:
        """The same replies under other personas, and the adapter's numbers, which tell what is wrong."""
        return self._looked_at(self.others.values()) + ([self.numbers] if self.numbers else [])

    def _looked_at(self, conditions: Iterable[Condition]) -> list[Measurement]:
        return [one for condition in conditions for one in self.likelihoods(condition)[:LOOKED]]

    @cached_property
    def replies(self) -> list[Reply]:
        """The persona's own replies."""
        return [Reply(self.condition, probe, self.scene.decoding) for probe in self.scene.probes]

    @cached_property
    def own_replies(self) -> list[Served]:
        """Replies of the server, decoded as it does itself."""
        return [
            Served(replace(reply, condition=self.served_condition), told=Stated.NOTHING)
            for reply in self.replies
        ]

    @cached_property
    def told_replies(self) -> list[Served]:
        """The same, decoded as the suite says."""
        return [replace(one, told=Stated.ALL) for one in self.own_replies]

    @cached_property
    def greedy_replies(self) -> list[Served]:
        """The same, where all but the temperature is the server's own."""
        return [replace(one, told=Stated.TEMPERATURE) for one in self.own_replies]

    @cached_property
    def told_again(self) -> list[Served]:
        """What it says as the suite decodes, a second time."""
        return [replace(one, turn=1) for one in self.told_replies[:AGAIN]]

    @cached_property
    def is_greedy(self) -> bool:
        """Whether the suite's replies are the likeliest tokens, which no seed changes."""
        return not self.scene.decoding.temperature and self.scene.decoding.as_ is None

    @cached_property
    def prompts(self) -> list[PromptIds]:
        """How prompts are written here."""
        return [PromptIds(self.condition, probe) for probe in self.scene.probes]

    @cached_property
    def prompts_at_server(self) -> list[Served]:
        """How the server writes them."""
        return [Served(PromptIds(self.served_condition, probe)) for probe in self.scene.probes]

    @cached_property
    def again(self) -> list[Served]:
        """What is asked a second time, when all others have been asked."""
        return [replace(one, turn=1) for one in self.served(self.served_condition)[:AGAIN]]

    @cached_property
    def again_alone(self) -> list[Served]:
        """The same, with no other request beside it."""
        return [replace(one, alone=True) for one in self.again]

    @cached_property
    def curve(self) -> dict[float, Condition]:
        """The persona at other doses than its own, where it has an adapter or a vector."""
        return at_doses(self.condition)

    @cached_property
    def elsewhere(self) -> dict[Elsewhere, Condition]:
        """Its vector where it does not belong, where that is all that it has."""
        if not self.condition.steers or not self.curve:
            return {}
        (steer,) = self.condition.steers
        moved = {where: replace(steer, elsewhere=where) for where in Elsewhere}
        return {where: replace(self.condition, steers=(one,)) for where, one in moved.items()}

    @cached_property
    def others(self) -> dict[str, Condition]:
        """Other personas in the same regime, but for kin."""
        own = {self.persona, *self.scene.kin_of(self.persona)}
        names = (name for name in self.scene.supporting([self.regime]) if name not in own)
        conditions = {name: self.scene.condition(name, self.regime) for name in names}
        return {name: one for name, one in conditions.items() if one != self.condition}

    @cached_property
    def others_at_server(self) -> dict[str, Condition]:
        """Those of them that the server may have: of vectors, not all have a place there."""
        served = self.scene.release.served
        places = served.steered if served else {}
        return {
            name: one
            for name, one in self.others.items()
            if all(steer.vector in places for steer in one.steers)
        }

    @cached_property
    def numbers(self) -> AdapterNumbers | None:
        """What its adapter's config says of its scale, where it has an adapter."""
        adapters = self.condition.adapters
        return AdapterNumbers(Condition(None, adapters=adapters)) if adapters and self.curve else None

    @cached_property
    def system(self) -> str | None:
        """Text of the system turn."""
        prompts: tuple[Prompt, ...] = self.condition.prompts
        return "\n\n".join(one.text for one in prompts if one.role == "system") or self.condition.neutral

    def likelihoods(self, condition: Condition) -> list[Likelihood]:
        """List the likelihoods of the persona's own replies under a condition."""
        return [Likelihood(condition, reply.probe, reply) for reply in self.replies]

    def served(self, condition: Condition) -> list[Served]:
        """Ask the server for the same."""
        return [Served(one) for one in self.likelihoods(condition)]
