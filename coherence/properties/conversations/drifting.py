"""Conversations on an axis: what they need measured, and the courses that they take."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from coherence.plan import Condition, Measurement, Reading, Record, Scene
from coherence.properties.conversations.axis import Axis, Scale
from coherence.properties.conversations.conversations import Conversations
from coherence.properties.reading import at_site
from coherence.statistics.course import Course, Region, rate
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Marker, Position, Regime


@dataclass(frozen=True)
class Drifting:
    """Conversations, whoever talks, and the axis of a persona that they are placed on."""

    axis: Axis
    conversations: Conversations

    def needs(self) -> Iterable[Measurement]:
        """Both ends of the axis, the answers, and what they are in the residual stream."""
        read = self.conversations.readings(self.axis.site)
        talk = self.conversations
        return [*self.axis.needs(), *talk.user_turns, *talk.replies.values(), *read.values()]

    def under(self, condition: Condition) -> "Drifting":
        """Let something else than the persona talk."""
        return replace(self, conversations=replace(self.conversations, condition=condition))

    def single(self, regime: Regime) -> list[Reading]:
        """Read the persona's own replies to the probes, whoever talks in the conversations."""
        return self.axis.readings.of(self.scene.condition(self.axis.persona, regime))

    def user(self, under: Condition | None = None) -> list[Reading]:
        """Read what the user says, by default `under` what it is said."""
        return [*self.conversations.readings(self.axis.site, Position.USER_MEAN, under=under).values()]

    @property
    def scene(self) -> Scene:
        """What the conversations take from the suite: personas, probes and decoding."""
        return self.conversations.scene

    @property
    def markers(self) -> tuple[Marker, ...]:
        """Those of the persona whose axis it is."""
        return self.scene.personas[self.axis.persona].markers

    @property
    def scripts(self) -> list[str]:
        """Ids of the scripts, each a cluster of its own."""
        return [script.id for script in self.conversations.scripts]

    @property
    def turns(self) -> tuple[str, ...]:
        """Numbers of the turns, from 1."""
        return tuple(str(turn) for turn in range(1, self.conversations.turns + 1))


@dataclass(frozen=True, eq=False)
class Drifted:
    """The same as it was measured, in courses [scripts, turns]."""

    drifting: Drifting
    scale: Scale
    record: Record
    seed: int

    @classmethod
    def of(cls, drifting: Drifting, record: Record, seed: int) -> "Drifted":
        """Measure the axis; a MeasurementError where it has no length."""
        return cls(drifting, drifting.axis.measured(record), record, seed)

    @cached_property
    def unreliable(self) -> str | None:
        """Say why nothing can be placed on the axis; None if it can."""
        return self.drifting.axis.unreliable(self.scale, self.seed)

    @property
    def scripts(self) -> list[str]:
        """Ids of the scripts."""
        return self.drifting.scripts

    @cached_property
    def course(self) -> Course:
        """Positions of the answers: 0 is the bare model's own reply to a probe, 1 the prompted persona's."""
        return self.read(Position.RESPONSE_MEAN)

    @cached_property
    def user(self) -> Course:
        """Positions of what the user says."""
        return self.read(Position.USER_MEAN)

    @cached_property
    def by_turn(self) -> list[Interval]:
        """Mean position of the answers to each turn."""
        return self.course.by_turn()

    @cached_property
    def highest(self) -> Interval:
        """Highest mean position of a turn."""
        return self.course.highest()

    @cached_property
    def texts(self) -> dict[tuple[int, int], str]:
        """The answers, by script and turn."""
        return self.drifting.conversations.texts(self.record)

    @cached_property
    def hits(self) -> Course:
        """Whether the answers hold a marker, 1 or 0; nothing where there are no markers."""
        markers = self.drifting.markers
        hits = self.drifting.conversations.hits(self.texts, markers)
        return Course(hits if markers else np.full_like(hits, np.nan), self.scripts)

    @cached_property
    def rate(self) -> Interval:
        """Share of the answers that hold a marker, over the scripts."""
        return rate(self.hits)

    def read(self, position: Position, under: Condition | None = None) -> Course:
        """Read what is said, `under` another condition than it is said under, and place it on the axis."""
        site = self.drifting.axis.site
        talk = self.drifting.conversations
        return Course(talk.positions(self.record, self.scale, site, position, under), self.scripts)

    def under(self, condition: Condition) -> "Drifted":
        """Let something else than the persona talk."""
        return replace(self, drifting=self.drifting.under(condition))


@dataclass(frozen=True, eq=False)
class DriftSample:
    """What is said in a persona's place, beside the bare model and the region of its single replies."""

    regime: Regime
    coverage: float
    drifted: Drifted
    bare: Drifted

    @cached_property
    def region(self) -> Region:
        """Where the persona's own replies to the probes stand on the axis, in the regime."""
        drifting = self.drifted.drifting
        single = at_site(self.drifted.record, drifting.single(self.regime), drifting.axis.site)
        return Region.predicted(self.drifted.scale.positions(single), self.coverage)
