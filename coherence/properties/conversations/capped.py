"""A persona's conversations without a cap and with it, as they were measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.plan import Divergence
from coherence.properties.conversations.drifting import Drifted
from coherence.statistics.course import Course
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.rising_dose import geometric_ratio, largest
from coherence.vocabulary import Position

IDLE = 1e-3  # of the length of the axis: rounding moves nothing as far


@dataclass(frozen=True, eq=False)
class CappedSample:
    """Two conversations on one axis, and what the cap does to the bare model."""

    free: Drifted
    capped: Drifted
    divergences: Sequence[Divergence]

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
        condition = self.capped.drifting.conversations.condition
        return self.free.read(Position.USER_MEAN, condition).apart(self.free.user)

    @cached_property
    def largest_shift(self) -> Interval:
        """Size of the largest shift of what the user says."""
        return largest_known(self.shifts)

    @cached_property
    def perplexity(self) -> tuple[Interval, int]:
        """Perplexity of the answers to the bare model over that without the cap; and of how many scripts."""
        free, capped = map(_surprise, (self.free, self.capped))
        there = np.flatnonzero(np.isfinite(free + capped))
        scripts = [self.free.scripts[row] for row in there]
        return geometric_ratio(capped[there], free[there], scripts), len(there)

    @cached_property
    def divergence(self) -> Array:
        """KL(bare || bare under the cap) over the bare model's own replies, nats: [probes]."""
        by_token = map(self.free.record.divergence, self.divergences)
        return np.array([each.mean(dtype=np.float64) for each in by_token])


def largest_known(shifts: Iterable[Interval]) -> Interval:
    """Interval of the largest size of a shift, over the turns that have one."""
    return largest([each for each in shifts if not np.isnan(each.value)])


def _surprise(side: Drifted) -> Array:
    """Logarithm of the answers' perplexity to the bare model, [scripts]."""
    values = side.drifting.conversations.surprise(side.record, side.drifting.scene.bare)
    return Course(values.T, side.drifting.turns).means  # over turns: these are its rows
