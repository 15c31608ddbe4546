"""Curves and tables, as evidence keeps them."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.intervals import Interval
from coherence.vocabulary import Abscissa, Curve, Series, Site, Table
from coherence.vocabulary.figures import Column

SITES = Abscissa(title="blocks passed")
WEIGHTS = Abscissa(title="weight of the mixture", diagonal="a linear response")
TURNS = Abscissa(title="turn")


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


def over_depth(lines: Mapping[str, Series], undefined: NDArray[np.bool_]) -> Curve:
    """Draw series over every site, with a gap where a direction is undefined, [depths]."""

    def gapped(values: Column | None) -> Column | None:
        return values and tuple(None if gap else value for gap, value in zip(undefined, values, strict=True))

    shown = {
        name: Series(values=gapped(line.values) or (), low=gapped(line.low), high=gapped(line.high))
        for name, line in lines.items()
    }
    return Curve(over=SITES, at=every_site(len(undefined)), series=shown)


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
