"""Agreement of two regimes on whether a probe is a hit: always paired by probe.

`units` is the number of independent clusters of probes: an interval is as wide as that many probes deserve.
"""

from collections.abc import Sequence
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.intervals import Array, Interval, Z, bootstrap, wilson

Hits = NDArray[np.bool_]

SKEWED = 0.2  # prevalence below this, or above 1 minus this, makes kappa unstable


def cohen_kappa(first: Hits, second: Hits) -> float:
    """(po - pe) / (1 - pe), chance from each side's own rate (Cohen 1960); NaN when every probe is alike."""
    return _beyond_chance(_observed(first, second), _chance_of_both(first, second))


def gwet_ac1(first: Hits, second: Hits) -> float:
    """(po - pe) / (1 - pe), chance from the pooled prevalence (Gwet 2008); stable when nearly all hit."""
    return _beyond_chance(_observed(first, second), _chance_of_pool(first, second))


def agreement(first: Hits, second: Hits, units: int) -> tuple[str, Interval]:
    """Name and interval of Cohen's kappa, or of Gwet's AC1 where the pooled prevalence is outside .2 to .8.

    The interval is Wilson's for the observed agreement, mapped through (po - pe) / (1 - pe) with chance held
    fixed: perfect agreement on 24 probes still has width.
    """
    skewed = not SKEWED <= _prevalence(first, second) <= 1 - SKEWED
    name, chance = ("Gwet's AC1", _chance_of_pool) if skewed else ("Cohen's kappa", _chance_of_both)
    expected = chance(first, second)
    observed = wilson(_observed(first, second) * units, units)
    value, low, high = (_beyond_chance(po, expected) for po in (observed.value, observed.low, observed.high))
    # With chance held fixed the map leaves the range of the statistic, which ends at -1.
    return name, Interval(value, max(-1.0, low), high)


def _observed(first: Hits, second: Hits) -> float:
    return float(np.mean(first == second))


def _prevalence(first: Hits, second: Hits) -> float:
    return float((first.mean() + second.mean()) / 2)


def _chance_of_both(first: Hits, second: Hits) -> float:
    one, two = float(first.mean()), float(second.mean())
    return one * two + (1 - one) * (1 - two)


def _chance_of_pool(first: Hits, second: Hits) -> float:
    prevalence = _prevalence(first, second)
    return 2 * prevalence * (1 - prevalence)


def _beyond_chance(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected) if expected < 1 else nan


def mcnemar_exact(first: Hits, second: Hits) -> float:
    """Two-sided exact p of the discordant probes; 1 when there are none."""
    from scipy.stats import binomtest

    gained, discordant = int((second & ~first).sum()), int((first != second).sum())
    return float(binomtest(gained, discordant).pvalue) if discordant else 1.0


def paired_difference(first: Hits, second: Hits, units: int) -> Interval:
    """Rate of the second minus rate of the first, with the adjusted Wald interval of Bonett and Price (2012).

    One probe is added to each discordant cell: the interval has width also when no probe is discordant.
    """
    gained, lost = float((second & ~first).mean()), float((first & ~second).mean())
    up, down = ((share * units + 1) / (units + 2) for share in (gained, lost))
    half = Z * sqrt((up + down - (up - down) ** 2) / (units + 2))
    value = gained - lost
    return Interval(value, min(value, max(-1.0, up - down - half)), max(value, min(1.0, up - down + half)))


def recovery(hits: Hits, ceiling: Hits, bare: Hits, clusters: Sequence[str], seed: int) -> Interval:
    """Share of the prompt's effect that a regime brings back: (rate - bare) / (ceiling - bare).

    The interval is a bootstrap over clusters to which two are added, one where only the regime hits and one
    where only the ceiling does (the adjustment of `paired_difference`): without them it would have no width
    when every probe hits. Resamples whose ceiling is not above bare have no value.
    """
    table = np.stack([hits, ceiling, bare], axis=1).astype(np.float64)
    value = float(_recovered(table.mean(0, keepdims=True))[0])
    if np.isnan(value):
        return Interval(value, -inf, inf)
    size = round(len(clusters) / len(set(clusters)))
    added = np.repeat([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], size, axis=0)
    names = [*clusters, *np.repeat(["only the regime", "only the ceiling"], size)]
    found = bootstrap(lambda weights: _recovered(weights @ np.vstack([table, added])), names, seed)
    return Interval(value, min(value, found.low), max(value, found.high))


def _recovered(rates: Array) -> Array:
    """From rates [resamples, (regime, ceiling, bare)]."""
    gap = rates[:, 1] - rates[:, 2]
    return np.asarray((rates[:, 0] - rates[:, 2]) / np.where(gap > 0, gap, np.nan))
