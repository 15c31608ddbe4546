"""Replies of prompted personas, as any condition reads them: how likely it finds each."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.errors import MeasurementError
from coherence.plan import Condition, Likelihood, Record, Reply, Scene
from coherence.statistics.geometry import Array
from coherence.vocabulary import Regime


@dataclass(frozen=True)
class PromptedReplies:
    """What each prompted persona replies to every probe."""

    scene: Scene
    personas: tuple[str, ...]

    @cached_property
    def replies(self) -> dict[str, list[Reply]]:
        """The replies of each persona, one for every probe."""
        return {
            name: [
                Reply(self.scene.condition(name, Regime.PROMPT), probe, self.scene.decoding)
                for probe in self.scene.probes
            ]
            for name in self.personas
        }

    def likelihoods(self, condition: Condition) -> list[list[Likelihood]]:
        """How likely a condition finds every reply: [personas][probes]."""
        return [
            [Likelihood(condition, reply.probe, reply) for reply in replies]
            for replies in self.replies.values()
        ]

    def rows(self, record: Record) -> list[int]:
        """Probes to which every persona has a reply, as an empty one has no tokens.

        A MeasurementError where these are less than half.
        """
        probes = len(self.scene.probes)
        answered = [
            row
            for row in range(probes)
            if all(record.reply(replies[row]) for replies in self.replies.values())
        ]
        if 2 * len(answered) < probes:
            raise MeasurementError(
                f"only {len(answered)} of {probes} probes have a reply of every prompted persona: too few to "
                "read"
            )
        return answered

    def per_token(self, record: Record, condition: Condition) -> Array:
        """Mean log-probability of the tokens of each reply, [rows, personas], nats."""
        likelihoods = self.likelihoods(condition)
        means = [
            [record.likelihood(of_persona[row]).mean(dtype=np.float64) for of_persona in likelihoods]
            for row in self.rows(record)
        ]
        return np.array(means)

    def gains(self, record: Record, condition: Condition) -> Array:
        """How much likelier a condition makes each reply than the bare model finds it, nats a token."""
        return self.per_token(record, condition) - self.per_token(record, self.scene.bare)
