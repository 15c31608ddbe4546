"""Where conversations come to rest that were displaced and released, and where the basins border."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite, sqrt

import numpy as np

from coherence.statistics import student
from coherence.statistics.intervals import TAIL, Array, Interval
from coherence.statistics.jackknife import Jackknife, Pivot, mean

POINTS = 400  # between two starts, at which a border is looked for: its ends are no finer
TINY = 1e-12  # a standard error below it is rounding


def returned(release: Array, now: Array, scripts: Sequence[str]) -> Pivot:
    """Share of a displacement that is gone: 1 - mean d(now) / mean d(release), over scripts.

    Both are [scripts, axes], measured from the unmoved conversation. Along several axes it is the share
    along the way that they were displaced. A ratio, tested after Fieller (1954); scripts are taken to be
    drawn independently. See docs/verdicts.md#basin.
    """
    jackknife = Jackknife(scripts)
    way = release.mean(axis=0)
    above, below = ((jackknife.weights @ values @ way)[:, None] for values in (release - now, release))
    return jackknife.ratio(above, below)


@dataclass(frozen=True)
class BasinMap:
    """From the position at release to that at the end, [starts, scripts] each, along one axis.

    Its points are (mean d(0), mean d(last)) of each start, in the order of their mean, with lines between
    them: conversations between two starts are taken to do what lies between. Scripts are taken to be drawn
    independently. See docs/verdicts.md#basin.
    """

    start: Array
    end: Array
    scripts: Sequence[str]

    @classmethod
    def of(cls, start: Array, end: Array, scripts: Sequence[str]) -> "BasinMap":
        """Put the starts in order, among them the unmoved conversation, which stays at 0."""
        still = np.zeros((1, len(scripts)))
        start, end = np.concatenate([still, start]), np.concatenate([still, end])
        order = np.argsort(start.mean(axis=1), kind="stable")
        return cls(start[order], end[order], scripts)

    @property
    def starts(self) -> Array:
        """Mean position at release over the scripts, rising: [starts]."""
        return np.asarray(self.start.mean(axis=1))

    def ends(self) -> list[Interval]:
        """Mean position at the end over the scripts, for each start, by the jackknife."""
        return [mean(row, self.scripts) for row in self.end]

    def borders(self) -> list[Interval]:
        """Where it crosses the diagonal from below: conversations fall to either side of it.

        An interval reaches from the last place that is surely below the diagonal to the first that is surely
        above it, by Student's t of the jackknife. An end that is infinite says that there is no such place.
        """
        return [self._around(border) for border in self._crossings()]

    def border(self) -> Interval:
        """Find the first of them that is told from noise, or else the first.

        Where there is none it lies beyond the starts: above them where the last one goes back, and below them
        where it goes further.
        """
        borders = self.borders()
        clear = (one for one in borders if isfinite(one.low) and isfinite(one.high))
        return next(clear, None) or (borders[0] if borders else self._beyond())

    def _beyond(self) -> Interval:
        """Bound a border that is not seen: it may hide where the map is not surely on one side."""
        places, t = self._sureness
        places, t = places[t != 0], t[t != 0]  # the unmoved conversation stays
        back = (self.end[-1] - self.start[-1]).mean() < 0
        if self._jackknife.size < 2 or not len(places):
            return Interval.unknown(float(self.starts[-1]))
        side, t = (1, -t) if back else (-1, t[::-1])
        places = places[::side]
        freedom = self._jackknife.size - 1
        unsure = np.flatnonzero(t < student.quantile(1 - TAIL, freedom))
        # Up to the first place at which the map is not surely on its side, no border can hide.
        first = unsure[0] if len(unsure) else len(places) - 1
        end = float(places[first]) if first else -side * inf

        def doubt(bound: float) -> float:
            passed = t[side * places <= side * bound]
            return student.below(-float(passed.min(initial=inf)), freedom) if len(passed) else 0.0

        value = float(places[-1])
        return Interval(value, end, inf, doubt) if back else Interval(value, -inf, end, doubt)

    def _crossings(self) -> Iterator[float]:
        at, off = self.starts, (self.end - self.start).mean(axis=1)
        for left in range(len(at) - 1):
            low, high = off[left : left + 2]
            if low < 0 <= high and at[left] < at[left + 1]:
                yield float(at[left] - low * (at[left + 1] - at[left]) / (high - low))

    def _around(self, border: float) -> Interval:
        places, t = self._sureness
        if self._jackknife.size < 2:
            return Interval.unknown(border)
        freedom = self._jackknife.size - 1
        q = student.quantile(1 - TAIL, freedom)
        below, above = places[(places < border) & (t <= -q)], places[(places > border) & (t >= q)]

        def doubt(bound: float) -> float:
            if bound < border:
                return student.below(float(t[(places >= bound) & (places <= border)].min(initial=0)), freedom)
            return student.below(-float(t[(places <= bound) & (places >= border)].max(initial=0)), freedom)

        low, high = below.max(initial=-inf), above.min(initial=inf)
        return Interval(border, float(low), float(high), doubt)

    @cached_property
    def _sureness(self) -> tuple[Array, Array]:
        """How surely the map is above the diagonal (below 0: below it), in t, at places between the starts.

        Scripts move a place of the map up, and along it: what lies over a fixed start moves by both.
        """
        start, end = (self._jackknife.weights @ side.T for side in (self.start, self.end))
        along, up = (np.stack([self._jackknife.influence(one) for one in values.T])
                     for values in (start, end - start))  # fmt: skip
        at, off = start[0], (end - start)[0]
        scale = sqrt(self._jackknife.size / max(self._jackknife.size - 1, TINY))
        places, t = [], []
        for left in range(len(at) - 1):
            share = np.linspace(0, 1, POINTS)[:, None]
            slope = (off[left + 1] - off[left]) / max(at[left + 1] - at[left], TINY)
            moved = up[left : left + 2] - slope * along[left : left + 2]
            error = scale * np.linalg.norm((1 - share) * moved[0] + share * moved[1], axis=1)
            over = (1 - share[:, 0]) * off[left] + share[:, 0] * off[left + 1]
            places.append((1 - share[:, 0]) * at[left] + share[:, 0] * at[left + 1])
            t.append(np.where(np.abs(over) <= TINY, 0.0, over / np.maximum(error, TINY)))
        return np.concatenate(places), np.concatenate(t)

    @cached_property
    def _jackknife(self) -> Jackknife:
        return Jackknife(self.scripts)
