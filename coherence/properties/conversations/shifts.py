"""How far the answers of conversations are from those of other conversations, and tables of it by turn."""

from collections.abc import Mapping, Sequence

import numpy as np

from coherence.properties.columns import interval_columns, table
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import mean
from coherence.vocabulary import Table


def shift(values: Array, scripts: Sequence[str]) -> Interval:
    """Mean over scripts of differences [scripts, turns], each the mean of its turns; NaN is left out."""
    return mean(np.nanmean(values, axis=1), scripts)


def with_interval(name: str, intervals: Sequence[Interval]) -> dict[str, list[float]]:
    """Make the same where a table has several statistics."""
    return interval_columns(name, intervals, of=f"{name}: ")


def by_turn(name: str, columns: Mapping[str, Sequence[float] | Array], first: int = 1) -> Table:
    """Make a table with a row for each turn, of which `first` is the number of the first."""
    length = len(next(iter(columns.values())))
    return table(name, [f"turn {turn}" for turn in range(first, first + length)], columns)
