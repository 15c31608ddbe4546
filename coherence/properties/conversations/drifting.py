"""A persona's conversations in one regime, as a course of positions on the persona's own axis."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from coherence.plan import Condition, Measurement, Reading, Record, Scene
from coherence.properties.conversations.axis import Axis, at_site
from coherence.properties.conversations.conversations import Conversations
from coherence.statistics.drift import Course, Region
from coherence.vocabulary import Marker, Regime


@dataclass(frozen=True)
class Drifting:
    """Conversations, and the axis that they are placed on; `regime` is the persona's, whoever talks."""

    axis: Axis
    regime: Regime
    conversations: Conversations

    def needs(self) -> Iterable[Measurement]:
        """Both ends of the axis, the answers, and what they are in the residual stream."""
        read = self.conversations.readings(self.axis.site)
        return [*self.axis.needs(), *self.conversations.replies.values(), *read.values()]

    def under(self, condition: Condition) -> "Drifting":
        """Let something else than the persona talk."""
        return replace(self, conversations=replace(self.conversations, condition=condition))

    def course(self, record: Record) -> Course:
        """Positions of the answers: 0 is the bare model's own reply to a probe, 1 the prompted persona's."""
        positions = self.conversations.positions(record, self.axis.measured(record), self.axis.site)
        return Course(positions, self.scripts)

    def marked(self, record: Record, markers: tuple[Marker, ...]) -> Course:
        """Whether the answers hold a marker, 1 or 0; nothing where there are no markers."""
        hits = self.conversations.hits(record, markers)
        return Course(hits if markers else np.full_like(hits, np.nan), self.scripts)

    @property
    def single(self) -> list[Reading]:
        """The persona's own replies to the probes in the regime."""
        return self.axis.readings.of(self.scene.condition(self.axis.persona, self.regime))

    def region(self, record: Record, coverage: float) -> Region:
        """Where these replies stand on the axis."""
        single = at_site(record, self.single, self.axis.site)
        return Region.predicted(self.axis.measured(record).positions(single), coverage)

    @property
    def scene(self) -> Scene:
        """What the conversations take from the suite: personas, probes and decoding."""
        return self.conversations.scene

    @property
    def scripts(self) -> list[str]:
        """Ids of the scripts, each a cluster of its own."""
        return [script.id for script in self.conversations.scripts]

    @property
    def turns(self) -> tuple[str, ...]:
        """Numbers of the turns, from 1."""
        return tuple(str(turn) for turn in range(1, self.conversations.turns + 1))
