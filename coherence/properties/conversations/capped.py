"""A persona's conversations without a cap and with it, and what the cap does to the bare model."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from coherence.plan import Condition, Divergence, Likelihood, Measurement, Reading, Record, Reply, Scene
from coherence.properties.conversations.drifting import Drifted, Drifting
from coherence.statistics.drift import Course, rate
from coherence.statistics.intervals import Array, Interval
from coherence.vocabulary import Bound, Position

IDLE = 1e-3  # of the length of the axis: rounding moves nothing as far


@dataclass(frozen=True)
class CappedConversations:
    """Conversations of a persona, of which the bounded ones go on by themselves from the first turn."""

    bound: Bound
    free: Drifting

    @property
    def scene(self) -> Scene:
        """What the uncapped conversations take from the suite: personas, probes and decoding."""
        return self.free.scene

    @property
    def towards(self) -> str:
        """The persona along whose axis the cap lies."""
        return self.bound.persona or self.free.axis.persona

    def turned(self, other: str) -> "CappedConversations":
        """Let the cap lie along the axis of another persona."""
        return replace(self, bound=self.bound.model_copy(update={"persona": other}))

    @cached_property
    def capped(self) -> Drifting:
        """The same conversations under the cap."""
        return self.free.under(self._under(self.free.conversations.condition))

    @property
    def answers(self) -> list[Measurement]:
        """What is said without the cap and with it, the axis, and where each answer stands."""
        return [*self.free.needs(), *self.capped.needs()]

    @property
    def user(self) -> list[Reading]:
        """What the user says in either conversation."""
        return [*_user(self.free), *_user(self.capped)]

    @property
    def same_text(self) -> list[Reading]:
        """What the user says in the conversation without a cap, read under it."""
        return _user(self.free, self.capped.conversations.condition)

    @property
    def likelihoods(self) -> list[Likelihood]:
        """Both conversations, read by the bare model."""
        sides = (side.conversations.likelihoods(self.scene.bare) for side in (self.free, self.capped))
        return [each for side in sides for each in side.values()]

    @property
    def divergences(self) -> list[Divergence]:
        """What the cap does to the bare model at its own replies, one per probe."""
        bare, decoding = self.scene.bare, self.scene.decoding
        capped = self._under(bare)
        return [
            Divergence(capped, probe, bare, Reply(bare, probe, decoding), decoding.max_new_tokens)
            for probe in self.scene.probes
        ]

    def _under(self, condition: Condition) -> Condition:
        return self.scene.capped(condition, self.free.axis.persona, self.bound)


@dataclass(frozen=True, eq=False)
class CappedSample:
    """The same as it was measured."""

    measured: CappedConversations
    free: Drifted
    capped: Drifted

    @classmethod
    def of(cls, measured: CappedConversations, record: Record, seed: int) -> "CappedSample":
        """Place both conversations on the axis of the persona."""
        free = Drifted.of(measured.free, record, seed)
        return cls(measured, free, free.under(measured.capped.conversations.condition))

    @property
    def sides(self) -> dict[str, Drifted]:
        """Both conversations by what they are called."""
        return {"without": self.free, "capped": self.capped}

    @cached_property
    def idle(self) -> bool:
        """Whether nothing goes beyond the bound, so that every answer is what it is without the cap."""
        apart = self.free.course.values - self.capped.course.values
        return bool(np.nanmax(np.abs(apart)) <= IDLE) and self.free.texts == self.capped.texts

    @cached_property
    def shifts(self) -> list[Interval]:
        """How far the cap moves what the user says, by turn."""
        return self.capped.user.apart(self.free.user)

    @cached_property
    def shifts_of_same_text(self) -> list[Interval]:
        """How far it does where the cap reads the text that was said without it."""
        condition = self.measured.capped.conversations.condition
        return self.free.read(Position.USER_MEAN, condition).apart(self.free.user)

    @cached_property
    def rates(self) -> tuple[Interval, Interval]:
        """How many answers hold a marker of the persona: without the cap and with it."""
        return rate(self.free.hits), rate(self.capped.hits)

    @cached_property
    def surprise(self) -> tuple[Array, Array]:
        """Logarithm of the answers' perplexity to the bare model, [scripts]: without the cap and with it."""
        return self._surprise(self.free), self._surprise(self.capped)

    @cached_property
    def divergence(self) -> Array:
        """KL(bare || bare under the cap) over the bare model's own replies, nats: [probes]."""
        found = map(self.free.record.divergence, self.measured.divergences)
        return np.array([each.mean(dtype=np.float64) for each in found])

    def _surprise(self, side: Drifted) -> Array:
        values = side.drifting.conversations.surprise(side.record, self.measured.scene.bare)
        return Course(values.T, side.drifting.turns).means  # over turns: these are its rows


def _user(side: Drifting, under: Condition | None = None) -> list[Reading]:
    return [*side.conversations.readings(side.axis.site, Position.USER_MEAN, under=under).values()]
