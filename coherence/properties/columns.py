"""Curves and tables, as evidence keeps them."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.displacements import Displacements
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Abscissa, Band, Curve, Series, Site, Table, Threshold
from coherence.vocabulary.figures import Column

SITES = Abscissa(title="blocks passed")
WEIGHTS = Abscissa(title="weight of the mixture", diagonal="a linear response")
TURNS = Abscissa(title="turn")
POSITION = "position on the axis"
BETWEEN = "position between the poles"


def column(values: Iterable[float]) -> Column:
    """Plain numbers; None where a value is undefined."""
    return tuple(float(value) if isfinite(value) else None for value in values)


def series(values: Iterable[float]) -> Series:
    """Values without intervals."""
    return Series(values=column(values))


def interval_series(intervals: Iterable[Interval]) -> Series:
    """Values with the ends of their intervals."""
    listed = list(intervals)
    return Series(
        values=column(one.value for one in listed),
        low=column(one.low for one in listed),
        high=column(one.high for one in listed),
    )


def every_site(depths: int) -> tuple[str, ...]:
    """Names of the rows in a stack of residuals, `Site.depth` from 0."""
    return tuple(str(Site.at_depth(depth)) for depth in range(depths))


def over_depth(
    lines: Mapping[str, Series],
    undefined: NDArray[np.bool_],
    value: str,
    judged: Band,
    thresholds: Iterable[Threshold] = (),
) -> Curve:
    """Draw series of a value over every site, with a gap where a direction is undefined, [depths].

    `judged` is the band that the verdict is about, and `thresholds` what series are held against there.
    """

    def gapped(values: Column | None) -> Column | None:
        return values and tuple(None if gap else value for gap, value in zip(undefined, values, strict=True))

    shown = {
        name: Series(values=gapped(line.values) or (), low=gapped(line.low), high=gapped(line.high))
        for name, line in lines.items()
    }
    first, last = (str(Site.at_depth(judged.depths[end])) for end in (0, -1))
    return Curve(
        over=SITES,
        at=every_site(len(undefined)),
        series=shown,
        value=value,
        judged=(first, last),
        thresholds=tuple(thresholds),
    )


def cosines_over_depth(
    lines: Mapping[str, Series],
    moved: Displacements,
    pair: Sequence[Hashable],
    judged: Band,
    least: float | None,
) -> Curve:
    """Draw cosines of two conditions' displacements; the specific one is held against `least`, if asked."""
    undefined = np.logical_or(*map(moved.still, pair))
    return over_depth(lines, undefined, "cosine", judged, at_least("specific", least))


def at_least(series: str, least: float | None) -> Iterator[Threshold]:
    """Yield what a series must not lie below, unless nothing is asked."""
    if least is not None:
        yield Threshold(series=series, value=least, kind="at least")


def at_most(series: str, most: float | None) -> Iterator[Threshold]:
    """Yield what a series must not lie above, unless nothing is asked."""
    if most is not None:
        yield Threshold(series=series, value=most, kind="at most")


def interval_columns(name: str, intervals: Sequence[Interval], of: str = "") -> dict[str, list[float]]:
    """Make the columns of a statistic and the ends of its interval; `of` is what these are called after."""
    return {
        name: [one.value for one in intervals],
        f"{of}low": [one.low for one in intervals],
        f"{of}high": [one.high for one in intervals],
    }


def table(name: str, rows: Iterable[str], columns: Mapping[str, Iterable[float]]) -> Table:
    """Make a table of columns, each with a number for every row; empty where one is undefined."""
    cells = zip(*columns.values(), strict=True)
    return Table(name=name, rows=tuple(rows), columns=tuple(columns), cells=tuple(map(column, cells)))


def matrix(name: str, rows: Iterable[str], columns: Iterable[str], cells: Iterable[Iterable[float]]) -> Table:
    """Make a table that holds rows against columns, and is drawn; empty where a value is undefined."""
    return Table(
        name=name, rows=tuple(rows), columns=tuple(columns), cells=tuple(map(column, cells)), matrix=True
    )
