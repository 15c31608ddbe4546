"""Conversations that end in questions of the suite's, before which the cache may be edited."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from coherence.plan import CacheEdit, Measurement, Reading, Reply, Turn
from coherence.properties.conversations.conversations import Conversations
from coherence.vocabulary import Position, Script, Site


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

    def _reply(self, script: Script, question: str) -> Reply:
        last = len(script.turns) - 1
        reply = self.conversations.reply(script, last)
        return replace(
            reply, turns=(*reply.turns, Turn(question, script.turns[last].assistant, edit=self.edit))
        )
