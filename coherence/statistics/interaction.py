"""Factorial: what a persona and a task do together, beside the sum of what each does alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.geometry import STILL, Array, Real, cosine
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife, Pivot, smallest


@dataclass(frozen=True, eq=False)
class Cells:
    """Residuals of the four prompts of every cell, [sites, cells, width] each. Source: arXiv 2605.23147.

    The first letter is the persona, the second the task; B is the neutral one. With dX = XB - BB,
    dY = BY - BB and dXY = XY - BB, what is left over is dXY - dX - dY. See docs/verdicts.md#factorial.
    """

    bb: Real
    xb: Real
    by: Real
    xy: Real

    @cached_property
    def persona(self) -> Real:
        """What the persona does alone, dX = XB - BB: [sites, cells, width]."""
        return np.asarray(self.xb - self.bb)

    @cached_property
    def task(self) -> Real:
        """What the task does alone, dY = BY - BB: [sites, cells, width]."""
        return np.asarray(self.by - self.bb)

    @cached_property
    def both(self) -> Real:
        """What they do together, dXY = XY - BB: [sites, cells, width]."""
        return np.asarray(self.xy - self.bb)

    @cached_property
    def cosine(self) -> Array:
        """Cosine of dXY and dX + dY: [sites, cells], NaN where either is zero.

        A high one may leave as much over as half the length of dXY: see `interaction`.
        """
        return cosine(self.both, self.persona + self.task)

    @cached_property
    def overlap(self) -> Array:
        """Cosine of dX and dY: [sites, cells], NaN where either is zero."""
        return cosine(self.persona, self.task)

    @cached_property
    def interaction(self) -> Array:
        """Length of dXY - dX - dY over that of dXY: [sites, cells], NaN where dXY is zero."""
        both = _length(self.both)
        left = _length(self.both - self.persona - self.task)
        return np.asarray(left / np.where(both > 0, both, np.nan))

    @cached_property
    def still(self) -> NDArray[np.bool_]:
        """Whether persona, task, both together, or their sum move nothing but rounding: [4, sites, cells]."""
        moved = (self.persona, self.task, self.both, self.persona + self.task)
        return np.stack([_length(each) <= STILL * _length(self.bb) for each in moved])


def _length(vectors: Real) -> Array:
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(-1)))


def quartiles(values: Array) -> Array:
    """First quartile, median and third quartile over the cells: [..., cells] gives [3, ...].

    Of these cells, and without an interval. See docs/verdicts.md#factorial.
    """
    return np.asarray(np.quantile(values, [0.25, 0.5, 0.75], axis=-1))


def recovered(left: Array, whole: Array, clusters: Sequence[str]) -> Pivot:
    """1 - mean left / mean whole: the share of a gap that is closed where `left` of it remains, [cells] each.

    Below 0 where it widens. A ratio, tested after Fieller (1954). See docs/verdicts.md#factorial.
    """
    jackknife = Jackknife(clusters)
    closed, gap = ((jackknife.weights @ values)[:, None] for values in (whole - left, whole))
    return jackknife.ratio(closed, gap)


def largest(pivots: Sequence[Pivot]) -> Interval:
    """Interval of the largest of several truths, whichever that is: below a bound only if all are.

    It is above one if one of them is, which allows for their number (Bonferroni).
    See docs/verdicts.md#factorial.
    """
    # Mirrored: the largest is minus the smallest of what is minus each.
    least = smallest([replace(pivot, value=-pivot.value, shared=-pivot.shared) for pivot in pivots])
    return Interval(-least.value, -least.high, -least.low, lambda bound: least.doubt(-bound), least.influence)
