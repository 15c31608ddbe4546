"""Conversations on whose way another condition comes over the model."""

from dataclasses import dataclass, replace

from coherence.plan import Cache, Condition, Reply
from coherence.properties.conversations.conversations import Conversations
from coherence.vocabulary import Script


@dataclass(frozen=True)
class Interrupted(Conversations):
    """Conversations that go on under `to` from an answer on: `at`, which counts from 0 and is not the first.

    Where the cache is rebuilt, all that was said before is read again under it.
    """

    at: int
    to: Condition
    cache: Cache

    def reply(self, script: Script, turn: int) -> Reply:
        """Return what the model answers to a turn, from 0."""
        said = super().reply(script, turn)
        if turn < self.at:
            return said
        changed = replace(said.turns[self.at - 1], condition=self.to, cache=self.cache)
        return replace(said, turns=(*said.turns[: self.at - 1], changed, *said.turns[self.at :]))
