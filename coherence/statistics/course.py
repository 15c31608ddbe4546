"""How a statistic moves from turn to turn of conversations, and a region that it may leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, sqrt

import numpy as np

from coherence.statistics import student
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import Jackknife, Pivot, either, mean, smallest


@dataclass(frozen=True)
class Region:
    """Where single values of a sample lie, taken as known. See docs/verdicts.md#drift."""

    low: float
    high: float

    @classmethod
    def predicted(cls, values: Array, coverage: float) -> "Region":
        """Prediction interval, mean +- t s sqrt(1 + 1 / n), from values [n] and Student's t.

        One more value lies in it with a probability `coverage`, if values are normal and independent.
        """
        n = len(values)
        reach = student.quantile((1 + coverage) / 2, n - 1) * values.std(ddof=1) * sqrt(1 + 1 / n)
        return cls(float(values.mean() - reach), float(values.mean() + reach))

    def within(self, values: Array) -> Array:
        """How far values are from the nearer end, in any shape; below 0 outside."""
        return np.minimum(values - self.low, self.high - values)


@dataclass(frozen=True, eq=False)
class Course:
    """What is measured at every turn of some scripts: values [scripts, turns], NaN where there is none.

    Scripts are the unit of inference, and each is a cluster of its own: they are taken to be drawn
    independently, and turns of one script are not. See docs/verdicts.md#drift.
    """

    values: Array
    scripts: Sequence[str]

    def among(self, kept: Sequence[int]) -> "Course":
        """Return the same of some of the scripts, by their rows."""
        return Course(self.values[kept], [self.scripts[row] for row in kept])

    @cached_property
    def means(self) -> Array:
        """Mean over scripts, [turns]; NaN where no script has a value."""
        there = ~np.isnan(self.values)
        return np.asarray(
            np.where(there, self.values, 0).sum(0) / np.where(there.any(0), there.sum(0), np.nan)
        )

    @cached_property
    def slopes(self) -> Array:
        """Least-squares slope of each script, per turn: [scripts]. Two values are needed for one."""
        return np.array([_slope(row) for row in self.values])

    @cached_property
    def totals(self) -> Array:
        """Last value of each script minus its first, [scripts]."""
        return np.array([row[-1] - row[0] for row in map(_there, self.values)])

    def by_turn(self) -> list[Interval]:
        """Mean at each turn over the scripts that have a value there: [turns], each by itself."""
        return [self._at(turn).interval for turn in range(self.values.shape[1])]

    def slope(self) -> Interval:
        """Mean over scripts of their least-squares slopes per turn, by the jackknife over scripts."""
        return mean(self.slopes, self.scripts)

    def total(self) -> Interval:
        """Mean over scripts of the last value minus the first: noisier than the slope, which uses all."""
        return mean(self.totals, self.scripts)

    def steeper(self, other: "Course") -> Interval:
        """Mean of the slopes here minus those of the same scripts there, paired by script."""
        return mean(self.slopes - other.slopes, self.scripts)

    def apart(self, other: "Course") -> list[Interval]:
        """Mean at each turn here minus that of the same scripts there, paired by script."""
        return Course(self.values - other.values, self.scripts).by_turn()

    def margin(self, region: Region, turns: int) -> Interval:
        """Least distance of a turn's mean inside the region, over the first turns; below 0 one is outside.

        Above a bound only if all turns are (intersection-union), below it if one is (Bonferroni).
        """
        there = [turn for turn in range(turns) if not np.isnan(self.means[turn])]
        return smallest([self._inside(region, turn) for turn in there])

    def highest(self) -> Interval:
        """Highest mean of a turn, whichever that is; above a bound if one is, below it only if all are."""
        mirrored = Course(-self.values, self.scripts)
        return -mirrored.margin(Region(0, inf), self.values.shape[1])

    def left(self, region: Region) -> int | None:
        """First turn, from 0, at which the whole interval of the mean is outside; None if there is none."""
        outside = (mean.low > region.high or mean.high < region.low for mean in self.by_turn())
        return next((turn for turn, out in enumerate(outside) if out), None)

    def _inside(self, region: Region, turn: int) -> Pivot:
        """Distance of a turn's mean from the nearer end of the region."""
        mean = self.means[turn]
        below, above = region.low, region.high
        return self._at(turn, 1, -below) if mean - below < above - mean else self._at(turn, -1, above)

    def _at(self, turn: int, sign: float = 1, shift: float = 0) -> Pivot:
        """Pivot of sign x mean + shift at a turn, over the scripts that have a value there."""
        there = np.flatnonzero(~np.isnan(self.values[:, turn]))
        if not len(there):
            return Pivot.unknown(np.nan)
        values = sign * self.values[there, turn] + shift
        jackknife = Jackknife([self.scripts[int(row)] for row in there])
        return jackknife.around(float(values.mean()), jackknife.weights @ values)


def rate(hits: Course) -> Interval:
    """Mean over scripts of the share of their turns that are hits.

    Scripts that all hit, or never, show no spread: as in `agreement`, one script of each kind is added
    (after Bonett and Price 2012). See docs/verdicts.md#drift.
    """
    shares = np.array([_there(row).mean() for row in hits.values])
    table, jackknife = Jackknife.enlarged(shares[:, None], np.array([[1.0], [0.0]]), hits.scripts)
    values = jackknife.weights @ table[:, 0]
    value = float(shares.mean())
    interval = either(*(jackknife.around(centre, values) for centre in (value, float(values[0]))))
    return Interval(
        value, max(0.0, interval.low), min(1.0, interval.high), interval.doubt, interval.influence
    )


def _there(values: Array) -> Array:
    return values[~np.isnan(values)]


def _slope(values: Array) -> float:
    turns = np.flatnonzero(~np.isnan(values))
    apart = turns - turns.mean()
    return float(apart @ values[turns] / (apart @ apart))
