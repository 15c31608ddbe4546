"""A persona's conversations without a cap and with it, and what the cap does to the bare model."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from coherence.plan import Condition, Divergence, Likelihood, Measurement, Reading, Record, Reply, Scene
from coherence.properties.conversations.axis import at_site
from coherence.properties.conversations.drifting import Drifting
from coherence.statistics.drift import Course
from coherence.statistics.intervals import Array
from coherence.vocabulary import Bound, Position

IDLE = 1e-3  # of the length of the axis: rounding moves nothing as far


@dataclass(frozen=True)
class CappedConversations:
    """Conversations of a persona, of which the bounded ones go on by themselves from the first turn."""

    persona: str
    bound: Bound
    free: Drifting

    @cached_property
    def capped(self) -> Drifting:
        """The same conversations under the cap."""
        return self.free.under(self._under(self.free.conversations.condition))

    @property
    def answers(self) -> list[Measurement]:
        """What is said without the cap and with it, the axis, and where each answer stands."""
        return [*self.free.needs(), *self.capped.needs()]

    @property
    def heard(self) -> list[Reading]:
        """What the user says in either conversation."""
        return [*_user(self.free), *_user(self.capped)]

    @property
    def same_text(self) -> list[Reading]:
        """What the user says in the conversation without a cap, read under it."""
        condition = self.capped.conversations.condition
        return [replace(reading, condition=condition) for reading in _user(self.free)]

    @property
    def likelihoods(self) -> list[Likelihood]:
        """Both conversations, read by the bare model."""
        return [*_likelihoods(self.free), *_likelihoods(self.capped)]

    @property
    def divergences(self) -> list[Divergence]:
        """What the cap does to the bare model at its own replies, one per probe."""
        bare, decoding = self.scene.bare, self.scene.decoding
        capped = self._under(bare)
        return [
            Divergence(capped, probe, bare, Reply(bare, probe, decoding), decoding.max_new_tokens)
            for probe in self.scene.probes
        ]

    def idle(self, record: Record) -> bool:
        """Whether nothing goes beyond the bound, so that every answer is what it is without the cap."""
        apart = self.free.course(record).values - self.capped.course(record).values
        pairs = zip(
            self.free.conversations.replies.values(), self.capped.conversations.replies.values(), strict=True
        )
        said_alike = (record.reply(one) == record.reply(other) for one, other in pairs)
        return bool(np.nanmax(np.abs(apart)) <= IDLE) and all(said_alike)

    def user(self, record: Record) -> tuple[Course, Course]:
        """Place what the user says, without the cap and with it, on the persona's axis."""
        return self._placed(record, _user(self.free)), self._placed(record, _user(self.capped))

    def user_of_same_text(self, record: Record) -> Course:
        """Place what the user says where the cap reads the text that was said without it."""
        return self._placed(record, self.same_text)

    def hits(self, record: Record) -> tuple[Course, Course]:
        """Whether the answers hold a marker of the persona: without the cap and with it."""
        markers = self.scene.personas[self.persona].markers
        return self.free.marked(record, markers), self.capped.marked(record, markers)

    def surprise(self, record: Record) -> tuple[Array, Array]:
        """Logarithm of the answers' perplexity to the bare model, [scripts]: without the cap and with it."""
        free, capped = (self._surprise(record, side) for side in (self.free, self.capped))
        return free, capped

    def divergence(self, record: Record) -> Array:
        """KL(bare || bare under the cap) over the bare model's own replies, nats: [probes]."""
        return np.array([record.divergence(each).mean(dtype=np.float64) for each in self.divergences])

    @property
    def scene(self) -> Scene:
        """What the uncapped conversations take from the suite: personas, probes and decoding."""
        return self.free.scene

    def _under(self, condition: Condition) -> Condition:
        return self.scene.capped(condition, self.persona, self.bound)

    def _placed(self, record: Record, readings: list[Reading]) -> Course:
        scale, site = self.free.axis.measured(record), self.free.axis.site
        values = np.full((len(self.free.scripts), self.free.conversations.turns), np.nan)
        places = tuple(zip(*self.free.conversations.replies, strict=True))
        values[places] = scale.positions(at_site(record, readings, site))
        return Course(values, self.free.scripts)

    def _surprise(self, record: Record, side: Drifting) -> Array:
        values = np.full((len(side.scripts), side.conversations.turns), np.nan)
        for place, each in zip(side.conversations.replies, _likelihoods(side), strict=True):
            found = record.likelihood(each)
            values[place] = -found.mean(dtype=np.float64) if len(found) else np.nan
        there = ~np.isnan(values)
        return np.asarray(np.where(there, values, 0).sum(1) / np.where(there.any(1), there.sum(1), np.nan))


def _user(side: Drifting) -> list[Reading]:
    return [*side.conversations.readings(side.axis.site, Position.USER_MEAN).values()]


def _likelihoods(side: Drifting) -> list[Likelihood]:
    return [Likelihood(side.scene.bare, reply.probe, reply) for reply in side.conversations.replies.values()]
