"""What decides of one persona: its charts, and the share outside of its region."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.monitor.chart import Chart, Limits
from coherence.monitor.heard import Heard
from coherence.monitor.yardstick import STATISTICS, Marked
from coherence.properties.conversations.axis import LEAST_RELIABILITY
from coherence.properties.criterion import held, too_noisy
from coherence.statistics.course import Region
from coherence.statistics.intervals import Array, Interval, wilson
from coherence.vocabulary import Control, Criterion, Verdict

COVERAGE = 0.9
"""Probability with which one more of the persona's replies to a probe is in its region."""

POSITION, RECOGNITION, LIKELIHOOD, MARKERS = range(len(STATISTICS))


def kinds_of(home: Array) -> list[int]:
    """Name the statistics that have a chart, by those of the persona's own replies [probes, statistics].

    Where these show no marker, the lack of one means nothing.
    """
    return [POSITION, RECOGNITION, LIKELIHOOD, *([MARKERS] if home[:, MARKERS].any() else [])]


@dataclass(frozen=True, eq=False)
class Standing:
    """What was heard of a persona, held against its own replies at a level that its charts share.

    `most` is the largest share outside of the region, where one is asserted.
    """

    marked: Marked
    heard: Heard
    limits: Limits
    most: float | None = None

    @cached_property
    def charts(self) -> tuple[Chart, ...]:
        """One of each statistic that the persona's own replies have."""
        return self._charts(self.heard.values, self.heard.members)

    @cached_property
    def region(self) -> Region:
        """Where single replies of the persona stand."""
        return Region.predicted(self.home[:, POSITION], COVERAGE)

    @cached_property
    def outside(self) -> Interval:
        """Share of turns that stand outside of it; conversations are taken to be the witnesses."""
        out = self.out[self.placed]
        share = float(out.mean()) if len(out) else np.nan
        lines = {turn.line for turn, placed in zip(self.heard.turns, self.placed, strict=True) if placed}
        return wilson(share * len(lines), len(lines)) if lines else Interval.unknown()

    def criteria(self) -> Iterator[Criterion]:
        """Judge every chart, and the share outside where that is asked."""
        for chart in self.charts:
            yield chart.criterion
        if self.most is not None:
            n = int(self.placed.sum())
            yield held(
                "share outside the region", self.outside, n, at_most=self.most, key="max_outside", of="turns"
            )

    def control(self, name: str, values: Array) -> Control:
        """Judge what others reply to the probes, one after the other, as if the persona had said it."""
        criteria = [chart.criterion for chart in self._charts(values, [1] * len(values))]
        passed = [one for one in criteria if one.verdict is Verdict.PASS]
        failed = next((one for one in criteria if one.verdict is not Verdict.PASS), None)
        if failed:
            return Control(name=name, criterion=failed, met=tuple(passed[: criteria.index(failed)]))
        return Control(name=name, criterion=passed[0], met=tuple(passed[1:]))

    @property
    def first(self) -> tuple[Chart, int] | None:
        """The chart with the first alarm, and the turn of that; None where there is none."""
        alarms = [(chart.alarm, chart) for chart in self.charts if chart.alarm is not None]
        if not alarms:
            return None
        turn, chart = min(alarms, key=lambda pair: pair[0])
        return chart, turn

    @property
    def home(self) -> Array:
        """Statistics of the persona's own replies, [probes, statistics]."""
        return self.marked.home

    @property
    def placed(self) -> Array:
        """Tell which turns have a position, [turns]."""
        return np.asarray(~np.isnan(self.heard.values[:, POSITION]))

    @property
    def out(self) -> Array:
        """Tell which turns stand outside of the region, [turns]."""
        return np.asarray(self.region.within(self.heard.values[:, POSITION]) < 0)

    def _charts(self, values: Array, members: Sequence[int]) -> tuple[Chart, ...]:
        return tuple(
            Chart(
                STATISTICS[one],
                values[:, one],
                tuple(members),
                self.home[:, one],
                one == POSITION,
                self.limits,
                self._unread or (self._noisy if one == POSITION else None),
            )
            for one in kinds_of(self.home)
        )

    @property
    def _unread(self) -> str | None:
        """Say that too few turns could be read to judge by them; None where most could."""
        unread, total = len(self.heard.unread), len(self.heard.turns)
        return f"{unread} of {total} turns could not be read" if 2 * unread > total else None

    @cached_property
    def _noisy(self) -> str | None:
        scale = self.marked.scale
        ceiling = scale.reliability(self.limits.seed)
        return too_noisy(ceiling, LEAST_RELIABILITY, len(scale.clusters))
