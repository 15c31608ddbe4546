"""Conversations that end in questions of the suite's, before which the cache may be edited."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from coherence.plan import CacheEdit, Measurement, Reading, Record, Reply, Turn
from coherence.properties.conversations.axis import Axis, at_site
from coherence.properties.conversations.conversations import Conversations
from coherence.statistics.intervals import Array
from coherence.vocabulary import Marker, Position, Script, Site


@dataclass(frozen=True)
class FollowUps:
    """Each question after each script; whatever there is one of each, is in the order of the scripts."""

    conversations: Conversations
    questions: tuple[str, ...]
    edit: CacheEdit | None = None

    @cached_property
    def replies(self) -> list[Reply]:
        """The answers to the questions."""
        return [self._reply(script, text) for script in self.conversations.scripts for text in self.questions]

    def readings(self, site: Site) -> list[Reading]:
        """Residuals of the answers, up to a site."""
        condition, position = self.conversations.condition, Position.RESPONSE_MEAN
        return [Reading(condition, reply.probe, position, reply, site) for reply in self.replies]

    def needs(self, site: Site) -> Iterable[Measurement]:
        """List the answers, and what they are in the residual stream."""
        return [*self.replies, *self.readings(site)]

    def positions(self, record: Record, axis: Axis) -> Array:
        """Place the answers on an axis, [scripts, questions]."""
        answers = at_site(record, self.readings(axis.site), axis.site)
        return axis.measured(record).positions(answers).reshape(-1, len(self.questions))

    def residuals(self, record: Record, site: Site) -> Array:
        """Residuals of the answers up to a site, [answers, depths, width]."""
        return np.stack([record.residuals(reading) for reading in self.readings(site)]).astype(np.float64)

    def texts(self, record: Record) -> list[str]:
        """Look up what is answered."""
        return [record.reply(reply) for reply in self.replies]

    def rate(self, record: Record, markers: Iterable[Marker]) -> float:
        """Share of the answers that hold a marker."""
        every = tuple(markers)
        return float(np.mean([any(one.found_in(text) for one in every) for text in self.texts(record)]))

    def _reply(self, script: Script, question: str) -> Reply:
        last = len(script.turns) - 1
        said = self.conversations.reply(script, last)
        return replace(
            said, turns=(*said.turns, Turn(question, script.turns[last].assistant, edit=self.edit))
        )
