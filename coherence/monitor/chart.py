"""A chart: how a statistic of what is said goes over time, and whether it has left its place."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.properties.criterion import exact
from coherence.statistics import ewma
from coherence.statistics.intervals import Array
from coherence.vocabulary import Criterion


@dataclass(frozen=True)
class Limits:
    """By how many replies a place is known, in how many conversations it is left falsely how often."""

    home: int
    conversations: int
    level: float
    seed: int

    def of(self, two_sided: bool) -> float:
        """How far an average may go."""
        return ewma.limit(self.home, self.conversations, self.level, two_sided, self.seed)


@dataclass(frozen=True, eq=False)
class Chart:
    """A statistic of some turns, [turns], held against the same of the persona's own replies, [probes].

    It is two-sided where more is as strange as less; elsewhere only a fall is an alarm.
    """

    name: str
    values: Array
    members: tuple[int, ...]
    home: Array
    two_sided: bool
    limits: Limits
    unreliable: str | None = None

    @property
    def limit(self) -> float:
        """How far the average may go from 0."""
        return self.limits.of(self.two_sided)

    @cached_property
    def averages(self) -> Array:
        """Moving average of normal scores after every turn, [turns]; 0 is home."""
        return ewma.averages(ewma.scores(self.values, self.home), self.members)

    @property
    def alarms(self) -> Array:
        """At which turns the average lies beyond the limit, [turns]."""
        return np.asarray(self._distance > self.limit)

    @property
    def alarm(self) -> int | None:
        """The first turn with an alarm; None where there is none."""
        beyond = np.flatnonzero(self.alarms)
        return int(beyond[0]) if len(beyond) else None

    @property
    def onset(self) -> int | None:
        """The turn from which on the average went towards the alarm."""
        if self.alarm is None:
            return None
        return ewma.onset(self.averages, self.alarm, float(np.sign(self.averages[self.alarm])))

    @property
    def furthest(self) -> float:
        """How far the average went from home, on the side that counts."""
        return float(self._distance.max(initial=0.0))

    @property
    def criterion(self) -> Criterion:
        """Hold how far it went against the limit: a fact about these turns."""
        what = "from home" if self.two_sided else "below home"
        read = int((~np.isnan(self.values)).sum())
        return exact(
            f"{self.name}, furthest {what}",
            self.furthest,
            read,
            self.limit,
            self.unreliable or self._blind,
            key="false_alarm",
            of="turns",
        )

    @property
    def _blind(self) -> str | None:
        """Say that no turn could ever make an alarm; None where some could."""
        extreme = -float(ewma.scores(np.array([-np.inf]), self.home)[0])
        if extreme > self.limit:
            return None
        return (
            f"{len(self.home)} replies do not tell where the persona is at home well enough for an alarm; "
            "more probes are needed, or fewer conversations"
        )

    @property
    def _distance(self) -> Array:
        return np.abs(self.averages) if self.two_sided else -self.averages
