"""How far the answers of conversations are from those of other conversations, on a persona's axis."""

from collections.abc import Mapping, Sequence

import numpy as np

from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import mean


def shift(values: Array, scripts: Sequence[str]) -> Interval:
    """Mean over scripts of differences [scripts, turns], each the mean of its turns; NaN is left out."""
    return mean(np.nanmean(values, axis=1), scripts)


def with_interval(name: str, found: Sequence[Interval]) -> Mapping[str, Sequence[float]]:
    """Make the columns of a statistic and its interval."""
    return {
        name: [one.value for one in found],
        f"{name}: low": [one.low for one in found],
        f"{name}: high": [one.high for one in found],
    }
