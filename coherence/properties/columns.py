"""Curves and tables, as evidence keeps them."""

from collections.abc import Iterable, Mapping
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.intervals import Array
from coherence.vocabulary import Curve, Site, Table


def column(values: Iterable[float]) -> tuple[float | None, ...]:
    """Plain numbers; None where a value is undefined."""
    return tuple(float(value) if isfinite(value) else None for value in values)


def every_site(depths: int) -> tuple[str, ...]:
    """Names of the rows in a stack of residuals, `Site.depth` from 0."""
    return tuple(str(Site.at_depth(depth)) for depth in range(depths))


def over_depth(columns: Mapping[str, Array], undefined: NDArray[np.bool_]) -> Curve:
    """Columns [depths] over every site, empty where a direction is undefined."""
    shown = {name: column(np.where(undefined, np.nan, values)) for name, values in columns.items()}
    return Curve(axis="site", at=every_site(len(undefined)), columns=shown)


def table(name: str, rows: Iterable[str], columns: Mapping[str, Iterable[float]]) -> Table:
    """Make a table of columns, each with a number for every row; empty where one is undefined."""
    cells = zip(*columns.values(), strict=True)
    return Table(name=name, rows=tuple(rows), columns=tuple(columns), cells=tuple(map(column, cells)))
