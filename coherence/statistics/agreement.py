"""Agreement of two regimes on what a probe's reply shows: always paired by probe.

A small sample in which all agree, or all hit, has no spread of its own. One probe of each kind is therefore
added (as Bonett and Price 2012 do for a difference), each a cluster of its own: see `Jackknife.enlarged`.
That moves the estimate, too: a bound is refused where it is too far both from the sample's estimate and from
the moved one.
"""

from collections.abc import Callable, Sequence
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import Jackknife, either

Hits = NDArray[np.bool_]
Measure = Callable[[Array, Array], Array]
"""From what two sides answered [probes, sides] and weights of the probes [rows, probes] to values [rows]."""

SKEWED = 0.2  # prevalence below this, or above 1 minus this, makes kappa unstable

# One probe of each kind: hits of the first side and of the second.
_KINDS = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])


def cohen_kappa(first: Hits, second: Hits) -> float:
    """(po - pe) / (1 - pe), chance from each side's own rate (Cohen 1960); NaN when every probe is alike."""
    return _sampled(_kappa, first, second)


def gwet_ac1(first: Hits, second: Hits) -> float:
    """(po - pe) / (1 - pe), chance from the pooled prevalence (Gwet 2008); stable when nearly all hit."""
    return _sampled(_ac1, first, second)


def agreement(first: Hits, second: Hits, clusters: Sequence[str]) -> tuple[str, Interval]:
    """Name and interval of Cohen's kappa, or of Gwet's AC1 where the pooled rate is outside .2 to .8."""
    skewed = not SKEWED <= (first.mean() + second.mean()) / 2 <= 1 - SKEWED
    name, measure = ("Gwet's AC1", _ac1) if skewed else ("Cohen's kappa", _kappa)
    return name, _interval(measure, first, second, clusters)


def paired_difference(first: Hits, second: Hits, clusters: Sequence[str]) -> Interval:
    """Rate of the second minus rate of the first."""
    return _interval(_difference, first, second, clusters)


def _interval(measure: Measure, first: Hits, second: Hits, clusters: Sequence[str]) -> Interval:
    sides, value = _sides(first, second), _sampled(measure, first, second)
    table, jackknife = Jackknife.enlarged(sides, _KINDS, clusters)
    values = measure(table, jackknife.weights)
    found = either(*(jackknife.around(centre, values) for centre in (value, float(values[0]))))
    return Interval(value, max(-1.0, found.low), min(1.0, found.high), found.doubt, found.influence)


def _sampled(measure: Measure, first: Hits, second: Hits) -> float:
    return float(measure(_sides(first, second), np.ones((1, len(first))))[0])


def _sides(first: Hits, second: Hits) -> Array:
    return np.stack([first, second], axis=1).astype(np.float64)


def _kappa(sides: Array, weights: Array) -> Array:
    first, second = _rates(sides, weights).T
    return _beyond_chance(sides, weights, first * second + (1 - first) * (1 - second))


def _ac1(sides: Array, weights: Array) -> Array:
    prevalence = _rates(sides, weights).mean(1)
    return _beyond_chance(sides, weights, 2 * prevalence * (1 - prevalence))


def _beyond_chance(sides: Array, weights: Array, expected: Array) -> Array:
    observed = _rates(sides[:, :1] == sides[:, 1:], weights)[:, 0]
    return np.asarray((observed - expected) / np.where(expected < 1, 1 - expected, np.nan))


def _difference(sides: Array, weights: Array) -> Array:
    first, second = _rates(sides, weights).T
    return np.asarray(second - first)


def _rates(sides: NDArray[Any], weights: Array) -> Array:
    """Share of the weight that is on hits, [rows, sides]."""
    return np.asarray(weights @ sides / weights.sum(1, keepdims=True))


def mcnemar_exact(first: Hits, second: Hits) -> float:
    """Two-sided exact p of the discordant probes; 1 when there are none."""
    from scipy.special import bdtr

    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def recovery(hits: Hits, ceiling: Hits, bare: Hits, clusters: Sequence[str]) -> Interval:
    """Share of the prompt's effect that a regime brings back: (rate - bare) / (ceiling - bare).

    The added probes are one where only the regime hits and one where only the ceiling does.
    """
    sides = np.stack([hits, ceiling, bare], axis=1).astype(np.float64)
    kinds = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return _ratio(sides, kinds, np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]), clusters)


def _ratio(sides: Array, kinds: Array, terms: Array, clusters: Sequence[str]) -> Interval:
    """Ratio of two sums of means [2, columns] over what the sides answered [probes, columns]."""
    above, below = terms @ sides.mean(0)
    if below <= 0:
        return Interval(nan, -inf, inf)
    table, jackknife = Jackknife.enlarged(sides, kinds, clusters)
    parts = jackknife.weights @ table @ terms.T / below
    return jackknife.pivot(float(above / below), *(jackknife.influence(part) for part in parts.T)).interval
