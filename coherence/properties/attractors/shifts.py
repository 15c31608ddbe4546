"""How far the answers of talks are from those of other talks, on a persona's axis."""

from collections.abc import Mapping, Sequence

import numpy as np

from coherence.plan import Record
from coherence.properties.attractors.axis import Axis
from coherence.properties.attractors.drifting import LEAST_RELIABILITY
from coherence.properties.criterion import too_noisy
from coherence.properties.curve import column
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import mean
from coherence.vocabulary import Table


def shift(values: Array, scripts: Sequence[str]) -> Interval:
    """Mean over scripts of differences [scripts, turns], each the mean of its turns; NaN is left out."""
    return mean(np.nanmean(values, axis=1), scripts)


def unplaced(axis: Axis, record: Record, seed: int) -> str | None:
    """Say why nothing can be placed on the axis; None if it can."""
    probes = len(axis.readings.scene.probes)
    found = too_noisy(axis.measured(record).reliability(seed), LEAST_RELIABILITY, probes)
    return found and f"the axis of {axis.persona} at {axis.site} is not reliable: {found}"


def with_interval(name: str, found: Sequence[Interval]) -> Mapping[str, Sequence[float]]:
    """Make the columns of a statistic and its interval."""
    return {
        name: [one.value for one in found],
        f"{name}: low": [one.low for one in found],
        f"{name}: high": [one.high for one in found],
    }


def table(name: str, rows: Sequence[str], columns: Mapping[str, Sequence[float]]) -> Table:
    """Make a table of columns."""
    cells = zip(*columns.values(), strict=True)
    return Table(name=name, rows=tuple(rows), columns=tuple(columns), cells=tuple(map(column, cells)))
