"""A chronicle: what a person reads of a persona's conversations, by turn, by script and by kind of script."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from coherence.properties.columns import TURNS, interval_series, series, table
from coherence.properties.conversations.drifting import Drifted
from coherence.properties.conversations.shifts import by_turn, interval_columns
from coherence.statistics.drift import Course, Region
from coherence.statistics.intervals import Interval, wilson
from coherence.vocabulary import Curve, Estimate, Figures, Kind, ProbeNote, Regime, Table, Zone

SHOWN = 3  # scripts whose answers are quoted


@dataclass(frozen=True, eq=False)
class Chronicle:
    """Positions and markers of the answers, beside the persona's region and the bare model."""

    drifted: Drifted
    bare: Drifted
    region: Region
    coverage: float
    regime: Regime

    def figures(self) -> Figures:
        """Draw the positions by turn, write out turns, kinds and scripts, and quote some."""
        return Figures(
            curve=self._curve(),
            tables=tuple(self._tables()),
            probes=tuple(self._furthest()),
            notes=tuple(self._notes()),
        )

    @property
    def _course(self) -> Course:
        return self.drifted.course

    def _curve(self) -> Curve:
        at = self.drifted.drifting.turns
        lines = {
            "position": interval_series(self.drifted.by_turn),
            "the bare model": series(self.bare.course.means),
        }
        if self.drifted.drifting.markers:
            lines["marker rate"] = series(self.drifted.hits.means)
        low, high = (self.region.low,) * len(at), (self.region.high,) * len(at)
        return Curve(over=TURNS, at=at, series=lines, zone=Zone(name="region", low=low, high=high))

    def _tables(self) -> Iterator[Table]:
        yield self._by_turn()
        if self.drifted.drifting.markers:
            yield self._markers()
        yield self._by_kind()
        yield self._by_script()

    def _notes(self) -> Iterator[str]:
        """Say where the region is, when it is left, and how far the last turn is from the first."""
        low, high, out = self.region.low, self.region.high, self._course.left(self.region)
        yield (
            f"the region, in which {self.coverage:.0%} of single-turn replies under {self.regime} "
            f"are expected: {low:.2f} to {high:.2f}"
        )
        clearly = "none" if out is None else f"turn {out + 1}, {self._side(self._course.means[out])}"
        yield f"first turn whose whole interval is out of the region: {clearly}"
        yield self._estimate("last turn minus first", self._course.total())
        yield self._estimate("slope of the bare model", self.bare.course.slope())

    def _furthest(self) -> Iterator[ProbeNote]:
        """Quote the scripts that are furthest out of the region, or nearest to its ends."""
        talk, within = self.drifted.drifting.conversations, self.region.within(self._course.values)
        for row in np.argsort(np.nanmin(within, axis=1), kind="stable")[:SHOWN]:
            turn = int(np.nanargmin(within[row]))
            asked, position = talk.scripts[row].turns[turn], self._course.values[row, turn]
            said = self.drifted.texts[int(row), turn]
            places = (place for marker in self.drifted.drifting.markers for place in marker.places(said))
            where = f"turn {turn + 1}"
            yield ProbeNote(
                probe=talk.scripts[row].id,
                note=f"{where} ({asked.kind}) at {position:.2f}, {self._side(position)}: {asked.user}",
                replies={where: said},
                marks={where: tuple(sorted(places))},
            )

    def _side(self, position: float) -> str:
        if position > self.region.high:
            return "above the region"
        return "below the region" if position < self.region.low else "in the region"

    def _by_turn(self) -> Table:
        values = self._course.values
        inside = np.where(np.isnan(values), np.nan, self.region.within(values) >= 0)
        shares = Course(inside, self.drifted.scripts).means
        return by_turn(
            "by turn: position, its interval, and the share of scripts in the region",
            {**interval_columns("position", self.drifted.by_turn), "in the region": shares},
        )

    def _markers(self) -> Table:
        there = (values[~np.isnan(values)] for values in self.drifted.hits.values.T)
        rates = [wilson(hits.sum(), len(hits)) for hits in there]
        return by_turn("by turn: marker rate and its interval", interval_columns("rate", rates))

    def _by_kind(self) -> Table:
        kinds = [script.kind for script in self.drifted.drifting.conversations.scripts]
        rows = {kind: [row for row, own in enumerate(kinds) if own is kind] for kind in Kind if kind in kinds}
        return table(
            "by kind of script: how many, slope per turn and its interval, last turn minus first",
            map(str, rows),
            {
                "scripts": map(len, rows.values()),
                **interval_columns("slope", [self._course.among(kept).slope() for kept in rows.values()]),
                "last - first": [self._course.totals[kept].mean() for kept in rows.values()],
            },
        )

    def _by_script(self) -> Table:
        within = self.region.within(self._course.values)
        out = [next((turn for turn, by in enumerate(row, 1) if by < 0), np.nan) for row in within]
        return table(
            "by script: slope per turn, last turn minus first, first turn out of the region",
            self.drifted.scripts,
            {"slope": self._course.slopes, "last - first": self._course.totals, "first out": out},
        )

    def _estimate(self, name: str, interval: Interval) -> str:
        n = len(self.drifted.scripts)
        return str(Estimate(name=name, value=interval.value, low=interval.low, high=interval.high, n=n))
