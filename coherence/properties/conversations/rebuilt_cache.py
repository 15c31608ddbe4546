"""Conversations that are read again as a whole: what a server does that loses its cache, or its adapter."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from coherence.plan import Cache, Condition, Divergence, Reading
from coherence.properties.conversations.conversations import Conversations
from coherence.properties.criterion import exact
from coherence.statistics.intervals import Array
from coherence.vocabulary import Criterion, Position


@dataclass(frozen=True)
class Reread(Conversations):
    """Conversations held under one condition, and read again `under` the same or another.

    Whatever there is one of for each answer is in the order of `replies`.
    """

    under: Condition

    @cached_property
    def said(self) -> list[Reading]:
        """Residuals of each answer at every site, while it was said."""
        return self._read(self.condition, Cache.KEPT)

    @cached_property
    def read(self) -> list[Reading]:
        """The same when the transcript is read again."""
        return self._read(self.under, Cache.REBUILT)

    @cached_property
    def divergences(self) -> list[Divergence]:
        """How much else would be said now, at the first tokens of each answer."""
        replies = self.replies.values()
        return [Divergence(self.under, reply.probe, self.condition, reply) for reply in replies]

    def by_turn(self, values: Iterable[float]) -> Array:
        """Put values of the answers by script and turn: [scripts, turns], NaN where there is no answer."""
        return self._spread(self.replies, values)

    def _read(self, condition: Condition, cache: Cache) -> list[Reading]:
        return [
            Reading(condition, reply.probe, Position.RESPONSE_MEAN, reply, cache=cache)
            for reply in self.replies.values()
        ]


def law(name: str, deviations: Array, tolerance: float) -> Criterion:
    """Hold the largest relative deviation, [answers, depths], against what rounding may do."""
    return exact(name, float(deviations.max()), len(deviations), tolerance, key="tolerance")
