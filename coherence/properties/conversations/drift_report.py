"""A chronicle: what a person reads of a persona's conversations, by turn, by script and by kind of script."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from coherence.plan import Record
from coherence.properties.columns import column
from coherence.properties.conversations.drifting import Drifting
from coherence.statistics.drift import Course, Region
from coherence.statistics.intervals import Array, Interval, wilson
from coherence.vocabulary import Curve, Estimate, Kind, Marker, ProbeNote, Script, Table

SHOWN = 3  # scripts whose answers are quoted


@dataclass(frozen=True)
class Chronicle:
    """Positions and markers of the answers, beside the persona's region and the bare model."""

    drifting: Drifting
    course: Course
    bare: Course
    hits: Course
    region: Region
    coverage: float

    def curve(self) -> Curve:
        """Draw the positions by turn over the region."""
        found = self.course.by_turn()
        return Curve(
            axis="turn",
            at=self.drifting.turns,
            columns={
                "position": column(point.value for point in found),
                "low": column(point.low for point in found),
                "high": column(point.high for point in found),
                "the bare model": column(self.bare.means),
                **({"marker rate": column(self.hits.means)} if self._marked else {}),
                "region from": (self.region.low,) * len(found),
                "region to": (self.region.high,) * len(found),
            },
        )

    def tables(self) -> tuple[Table, ...]:
        """Write out turns, kinds of scripts and scripts; markers where the persona has some."""
        marked = (self._markers(),) if self._marked else ()
        return (self._by_turn(), *marked, self._by_kind(), self._by_script())

    def notes(self) -> Iterator[str]:
        """Say where the region is, when it is left, and how far the last turn is from the first."""
        low, high, out = self.region.low, self.region.high, self.course.left(self.region)
        yield (
            f"the region, in which {self.coverage:.0%} of single-turn replies under {self.drifting.regime} "
            f"are expected: {low:.2f} to {high:.2f}"
        )
        clearly = "none" if out is None else f"turn {out + 1}, {self._side(self.course.means[out])}"
        yield f"first turn whose whole interval is out of the region: {clearly}"
        yield str(self._estimate("last turn minus first", self.course.total()))
        yield str(self._estimate("slope of the bare model", self.bare.slope()))

    def furthest(self, record: Record, markers: Sequence[Marker]) -> Iterator[ProbeNote]:
        """Quote the scripts that are furthest out of the region, or nearest to its ends."""
        within = self.region.within(self.course.values)
        for row in np.argsort(np.nanmin(within, axis=1), kind="stable")[:SHOWN]:
            turn = int(np.nanargmin(within[row]))
            script = self.drifting.conversations.scripts[row]
            said = record.reply(self.drifting.conversations.reply(script, turn))
            where = f"turn {turn + 1}"
            yield ProbeNote(
                probe=script.id,
                note=self._place(script, turn, self.course.values[row, turn]),
                replies={where: said},
                marks={where: tuple(sorted(place for marker in markers for place in marker.places(said)))},
            )

    def _place(self, script: Script, turn: int, position: float) -> str:
        asked = script.turns[turn]
        return f"turn {turn + 1} ({asked.kind}) at {position:.2f}, {self._side(position)}: {asked.user}"

    def _side(self, position: float) -> str:
        if position > self.region.high:
            return "above the region"
        return "below the region" if position < self.region.low else "in the region"

    def _by_turn(self) -> Table:
        inside = np.where(np.isnan(self.course.values), np.nan, self.region.within(self.course.values) >= 0)
        shares = Course(inside, self.course.scripts).means
        return Table(
            name="by turn: position, its interval, and the share of scripts in the region",
            rows=tuple(f"turn {turn}" for turn in self.drifting.turns),
            columns=("position", "low", "high", "in the region"),
            cells=tuple(
                column((*_ends(point), share))
                for point, share in zip(self.course.by_turn(), shares, strict=True)
            ),
        )

    def _markers(self) -> Table:
        there = (values[~np.isnan(values)] for values in self.hits.values.T)
        return Table(
            name="by turn: marker rate and its interval",
            rows=tuple(f"turn {turn}" for turn in self.drifting.turns),
            columns=("rate", "low", "high"),
            cells=tuple(column(_ends(wilson(hits.sum(), len(hits)))) for hits in there),
        )

    def _by_kind(self) -> Table:
        kinds = [script.kind for script in self.drifting.conversations.scripts]
        rows = {kind: [row for row, own in enumerate(kinds) if own is kind] for kind in Kind if kind in kinds}
        return Table(
            name="by kind of script: how many, slope per turn and its interval, last turn minus first",
            rows=tuple(str(kind) for kind in rows),
            columns=("scripts", "slope", "low", "high", "last - first"),
            cells=tuple(
                column((len(kept), *_ends(self.course.among(kept).slope()), self.course.totals[kept].mean()))
                for kept in rows.values()
            ),
        )

    def _by_script(self) -> Table:
        within = self.region.within(self.course.values)
        out = [next((turn for turn, by in enumerate(row, 1) if by < 0), np.nan) for row in within]
        columns = zip(self.course.slopes, self.course.totals, out, strict=True)
        return Table(
            name="by script: slope per turn, last turn minus first, first turn out of the region",
            rows=tuple(self.course.scripts),
            columns=("slope", "last - first", "first out"),
            cells=tuple(map(column, columns)),
        )

    @property
    def _marked(self) -> bool:
        return not np.isnan(self.hits.values).all()

    def _estimate(self, name: str, found: Interval) -> Estimate:
        n = len(self.course.scripts)
        return Estimate(name=name, value=found.value, low=found.low, high=found.high, n=n)


def _ends(found: Interval) -> Array:
    return np.array([found.value, found.low, found.high])
