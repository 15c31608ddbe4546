"""Conversations that are read again as a whole: what a server does that loses its cache, or its adapter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from coherence.plan import Cache, Condition, Divergence, Measurement, Reading, Record
from coherence.properties.conversations.axis import Axis, at_site
from coherence.properties.conversations.conversations import Conversations
from coherence.statistics.deviation import relative_deviation
from coherence.statistics.intervals import Array
from coherence.vocabulary import Position

Place = tuple[int, int]
"""Script and turn, from 0."""


@dataclass(frozen=True)
class Reread(Conversations):
    """Conversations held under one condition, and read again `under` the same or another."""

    under: Condition

    @property
    def said(self) -> dict[Place, Reading]:
        """Residuals of each answer at every site, while it was said."""
        return self._read(self.condition, Cache.KEPT)

    @property
    def read(self) -> dict[Place, Reading]:
        """The same when the transcript is read again."""
        return self._read(self.under, Cache.REBUILT)

    @property
    def divergences(self) -> dict[Place, Divergence]:
        """How much else would be said now, at the first tokens of each answer."""
        return {
            place: Divergence(self.under, reply.probe, self.condition, reply)
            for place, reply in self.replies.items()
        }

    @property
    def unchanged(self) -> bool:
        """Whether it is read as it was said."""
        return self.under == self.condition

    def needs(self) -> Iterable[Measurement]:
        """List the answers, both readings of them and, read otherwise, what would be said now."""
        other = () if self.unchanged else self.divergences.values()
        return [*self.replies.values(), *self.said.values(), *self.read.values(), *other]

    def deviations(self, record: Record) -> Array:
        """Relative deviation of the residuals, [answers, depths]; the answers as in `replies`."""
        said, read = (
            np.stack([record.residuals(reading) for reading in side.values()])
            for side in (self.said, self.read)
        )
        return relative_deviation(said, read)

    def moved(self, record: Record, axis: Axis) -> tuple[Array, Array]:
        """Positions of the answers as they were said and as they are read, [scripts, turns] each."""
        return self._placed(record, axis, self.said), self._placed(record, axis, self.read)

    def kl(self, record: Record) -> Array:
        """Mean KL of the next token over the first tokens of each answer, [scripts, turns], nats."""
        found = self.divergences
        return self._spread(found, [record.divergence(one).mean() for one in found.values()])

    def _placed(self, record: Record, axis: Axis, readings: Mapping[Place, Reading]) -> Array:
        residuals = at_site(record, readings.values(), axis.site)
        return self._spread(readings, axis.measured(record).positions(residuals))

    def _read(self, condition: Condition, cache: Cache) -> dict[Place, Reading]:
        return {
            place: Reading(condition, reply.probe, Position.RESPONSE_MEAN, reply, cache=cache)
            for place, reply in self.replies.items()
        }
