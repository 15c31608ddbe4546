"""Agreement of two regimes on whether a probe is a hit: always paired by probe.

A small sample in which all agree, or all hit, has no spread of its own. One probe of each kind is therefore
added (as Bonett and Price 2012 do for a difference), each a cluster of its own. That moves the estimate, too:
a bound is refused where it is too far both from the sample's estimate and from the moved one.
"""

from collections.abc import Callable, Sequence
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import Jackknife, either

Hits = NDArray[np.bool_]
Measure = Callable[[Hits, Hits, Array], Array]
"""From the hits of two sides and weights of the probes [rows, probes] to values [rows]."""

SKEWED = 0.2  # prevalence below this, or above 1 minus this, makes kappa unstable

# One probe of each kind: hits of the first side and of the second.
_KINDS = np.array([[True, True], [True, False], [False, True], [False, False]])


def cohen_kappa(first: Hits, second: Hits) -> float:
    """(po - pe) / (1 - pe), chance from each side's own rate (Cohen 1960); NaN when every probe is alike."""
    return float(_kappa(first, second, _alike(len(first)))[0])


def gwet_ac1(first: Hits, second: Hits) -> float:
    """(po - pe) / (1 - pe), chance from the pooled prevalence (Gwet 2008); stable when nearly all hit."""
    return float(_ac1(first, second, _alike(len(first)))[0])


def agreement(first: Hits, second: Hits, clusters: Sequence[str]) -> tuple[str, Interval]:
    """Name and interval of Cohen's kappa, or of Gwet's AC1 where the pooled rate is outside .2 to .8."""
    skewed = not SKEWED <= (first.mean() + second.mean()) / 2 <= 1 - SKEWED
    name, measure = ("Gwet's AC1", _ac1) if skewed else ("Cohen's kappa", _kappa)
    return name, _interval(measure, first, second, clusters)


def paired_difference(first: Hits, second: Hits, clusters: Sequence[str]) -> Interval:
    """Rate of the second minus rate of the first."""
    return _interval(_difference, first, second, clusters)


def _interval(measure: Measure, first: Hits, second: Hits, clusters: Sequence[str]) -> Interval:
    value = float(measure(first, second, _alike(len(first)))[0])
    jackknife = Jackknife(clusters, added=len(_KINDS))
    one, two = np.append(first, _KINDS[:, 0]), np.append(second, _KINDS[:, 1])
    values = measure(one, two, jackknife.weights)
    found = either(*(jackknife.around(centre, values) for centre in (value, float(values[0]))))
    return Interval(value, max(-1.0, found.low), min(1.0, found.high), found.doubt, found.influence)


def _alike(n: int) -> Array:
    return np.ones((1, n))


def _kappa(first: Hits, second: Hits, weights: Array) -> Array:
    one, two = _rate(first, weights), _rate(second, weights)
    return _beyond_chance(_rate(first == second, weights), one * two + (1 - one) * (1 - two))


def _ac1(first: Hits, second: Hits, weights: Array) -> Array:
    prevalence = (_rate(first, weights) + _rate(second, weights)) / 2
    return _beyond_chance(_rate(first == second, weights), 2 * prevalence * (1 - prevalence))


def _difference(first: Hits, second: Hits, weights: Array) -> Array:
    return _rate(second, weights) - _rate(first, weights)


def _rate(hits: NDArray[Any], weights: Array) -> Array:
    """Share of the weight that is on hits, [rows] or [rows, columns]."""
    return np.asarray((weights @ hits).T / weights.sum(1)).T


def _beyond_chance(observed: Array, expected: Array) -> Array:
    return np.asarray((observed - expected) / np.where(expected < 1, 1 - expected, np.nan))


def mcnemar_exact(first: Hits, second: Hits) -> float:
    """Two-sided exact p of the discordant probes; 1 when there are none."""
    from scipy.special import bdtr

    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def recovery(hits: Hits, ceiling: Hits, bare: Hits, clusters: Sequence[str]) -> Interval:
    """Share of the prompt's effect that a regime brings back: (rate - bare) / (ceiling - bare).

    The added probes are one where only the regime hits and one where only the ceiling does.
    """
    table = np.stack([hits, ceiling, bare], axis=1).astype(np.float64)
    gained, whole = _gains(table, _alike(len(hits)))[0]
    if whole <= 0:
        return Interval(nan, -inf, inf)
    jackknife = Jackknife(clusters, added=2)
    gains = _gains(np.vstack([table, [[1, 0, 0], [0, 1, 0]]]), jackknife.weights) / whole
    above, below = (jackknife.influence(gain) for gain in gains.T)
    return jackknife.pivot(gained / whole, above, below).interval


def _gains(table: Array, weights: Array) -> Array:
    """How far the regime and the ceiling are above bare, [rows, 2]."""
    rates = _rate(table, weights)
    return np.asarray(rates[:, :2] - rates[:, 2:])
