"""The difference of an estimate between two releases, paired by probe where both say what each adds."""

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, isinf
from statistics import NormalDist
from typing import Literal

from coherence.baseline.baseline import Line
from coherence.statistics import student
from coherence.statistics.intervals import TAIL, Interval, Z
from coherence.vocabulary import Difference


@dataclass(frozen=True)
class Gain:
    """By how much a release is better than the baseline, in the direction of the criterion."""

    interval: Interval
    paired: bool
    rising: bool  # whether more of the statistic is better
    distance: bool  # whether it is one of distances from the middle of a range

    @classmethod
    def of(cls, before: Line, now: Line) -> "Gain":
        """By the range that holds now. With two ends, nearer to its middle is better."""
        rising, distance = isinf(now.at_most), not isinf(now.at_least) and not isinf(now.at_most)
        middle = (now.at_least + now.at_most) / 2 if distance else 0.0
        sides = _Side.of(before, middle, rising, distance), _Side.of(now, middle, rising, distance)
        paired = _paired(*sides)
        return cls(paired or _unpaired(*sides), paired is not None, rising, distance)

    @property
    def difference(self) -> Difference:
        """As a reader says it: of the statistic, or of its distance from the middle."""
        interval = self.interval
        ends = (interval.value, interval.low, interval.high)
        value, low, high = ends if self.rising else (-interval.value, -interval.high, -interval.low)
        of: Literal["value", "distance"] = "distance" if self.distance else "value"
        # Minus zero has a sign that says nothing.
        return Difference(value=value + 0.0, low=low + 0.0, high=high + 0.0, of=of, paired=self.paired)


@dataclass(frozen=True)
class _Side:
    """A release, turned so that more is better."""

    value: float
    below: float  # how far its interval reaches down
    above: float
    sign: float
    line: Line

    @classmethod
    def of(cls, line: Line, middle: float, rising: bool, distance: bool) -> "_Side":
        sign = 1.0 if rising or (distance and line.value <= middle) else -1.0
        down, up = line.value - line.low, line.high - line.value
        below, above = (down, up) if sign > 0 else (up, down)
        return cls(sign * (line.value - middle), below, above, sign, line)


def _paired(before: _Side, now: _Side) -> Interval | None:
    """Student's interval of what the clusters add to the one and not to the other.

    The probes that stand for what a small sample has not shown are counted for both releases, so that
    a few probes do not tell two releases apart.
    """
    one, two = before.line.influence, now.line.influence
    if one is None or two is None or one.clusters.keys() != two.clusters.keys():
        return None
    apart = (now.sign * two.clusters[name] - before.sign * one.clusters[name] for name in one.clusters)
    spread, freedom = hypot(*apart, one.added, two.added), min(one.freedom, two.freedom)
    value, half = now.value - before.value, student.quantile(1 - TAIL, freedom) * spread
    return Interval(
        value, value - half, value + half, _doubt(value, spread, lambda t: student.below(-t, freedom))
    )


def _unpaired(before: _Side, now: _Side) -> Interval:
    """From both intervals, as of independent samples (MOVER, Zou and Donner 2008).

    Too wide, if anything: the same probes make the two rise and fall together.
    """
    value = now.value - before.value
    below, above = (
        hypot(one, other) for one, other in ((now.below, before.above), (now.above, before.below))
    )
    normal = NormalDist()

    def doubt(bound: float) -> float:
        half = above if bound > value else below
        return _doubt(value, half / Z, lambda t: normal.cdf(-t))(bound)

    return Interval(value, value - below, value + above, doubt)


def _doubt(value: float, spread: float, tail: Callable[[float], float]) -> Callable[[float], float]:
    def doubt(bound: float) -> float:
        gap = abs(value - bound)
        return tail(gap / spread) if spread else 0.0 if gap else 0.5

    return doubt
