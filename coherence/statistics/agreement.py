"""Agreement of two regimes on what a probe's reply shows: always paired by probe.

A small sample in which all agree, or all hit, has no spread of its own. One probe of each kind is therefore
added (as Bonett and Price 2012 do for a difference), each a cluster of its own: see `Jackknife.enlarged`.
That moves the estimate, too: a bound is refused where it is too far both from the sample's estimate and from
the moved one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import Jackknife, either

Hits = NDArray[np.bool_]
Measure = Callable[[Array, Array], Array]
"""From what two sides answered [probes, sides] and weights of the probes [rows, probes] to values [rows]."""

# One probe of each kind: hits of the first side and of the second.
_KINDS = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
_ENDS = np.array([[1.0], [0.0]])


def kappa(first: Hits, second: Hits, clusters: Sequence[str]) -> Interval:
    """Cohen's kappa, (po - pe) / (1 - pe), of the hits of two sides, [probes] each (Cohen 1960).

    po is the share of probes on which they agree, pe that of independent sides with their rates: kappa is 0
    where the sides are independent, and NaN when every probe is alike. Clusters are taken to be drawn
    independently of each other. See docs/verdicts.md#markers.
    """
    return _interval(_kappa, first, second, clusters)


def chance_disagreements(first: Hits, second: Hits) -> float:
    """Say on how many of the probes independent sides with these rates would disagree, n (1 - pe).

    From hits [probes] of each. Kappa is 1 minus the share of them that there are, so that few of them tell
    little. The rates alone give their number: whether kappa is looked at has nothing to do with what it is.
    See docs/verdicts.md#markers.
    """
    one, two = float(first.mean()), float(second.mean())
    return len(first) * (one * (1 - two) + two * (1 - one))


def paired_difference(first: Hits | Array, second: Hits | Array, clusters: Sequence[str]) -> Interval:
    """Rate of the second minus rate of the first, from hits [probes] of each, or shares, paired by probe.

    It is the share of probes gained minus the share lost, with one probe of each kind added to tell its
    spread (after Bonett and Price 2012). See docs/verdicts.md#intervals.
    """
    return _interval(_difference, first, second, clusters)


def mean_share(shares: Array, clusters: Sequence[str]) -> Interval:
    """Mean of shares of 0 to 1, [probes], with a probe of all and one of nothing added to tell its spread.

    See docs/verdicts.md#classifier.
    """
    interval = _enlarged(_rate, shares[:, None], _ENDS, clusters)
    return replace(interval, low=max(0.0, interval.low), high=min(1.0, interval.high))


def _interval(
    measure: Measure, first: Hits | Array, second: Hits | Array, clusters: Sequence[str]
) -> Interval:
    sides = np.stack([first, second], axis=1).astype(np.float64)
    interval = _enlarged(measure, sides, _KINDS, clusters)
    return replace(interval, low=max(-1.0, interval.low), high=min(1.0, interval.high))


def _enlarged(measure: Measure, sides: Array, kinds: Array, clusters: Sequence[str]) -> Interval:
    value = float(measure(sides, np.ones((1, len(sides))))[0])
    table, jackknife = Jackknife.enlarged(sides, kinds, clusters)
    values = measure(table, jackknife.weights)
    # The added probes pull the estimate towards the middle: refused is what neither would let stand.
    return either(*(jackknife.around(centre, values) for centre in (value, float(values[0]))))


def _rate(sides: Array, weights: Array) -> Array:
    return _rates(sides, weights)[:, 0]


def _kappa(sides: Array, weights: Array) -> Array:
    first, second = _rates(sides, weights).T
    agreed = _rates(sides[:, :1] == sides[:, 1:], weights)[:, 0]
    expected = first * second + (1 - first) * (1 - second)
    return np.asarray((agreed - expected) / np.where(expected < 1, 1 - expected, np.nan))


def _difference(sides: Array, weights: Array) -> Array:
    first, second = _rates(sides, weights).T
    return np.asarray(second - first)


def _rates(sides: NDArray[Any], weights: Array) -> Array:
    """Share of the weight that is on hits, [rows, sides]."""
    return np.asarray(weights @ sides / weights.sum(1, keepdims=True))


def mcnemar_exact(first: Hits, second: Hits) -> float:
    """McNemar's exact p: twice the binomial tail P(X <= min(b, c)) of b + c even chances, at most 1.

    From hits [probes] of each; b are the probes that only the second hits, c those that only the first does.
    It is 1 when there are none, and takes every probe as drawn by itself, whatever its cluster.
    See docs/verdicts.md#markers.
    """
    from scipy.special import bdtr

    gained, lost = int((second & ~first).sum()), int((first & ~second).sum())
    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def recovery(hits: Hits, ceiling: Hits, bare: Hits, clusters: Sequence[str]) -> Interval:
    """Share of the prompt's effect that a regime brings back: (rate - bare) / (ceiling - bare).

    From hits [probes] of each, with Fieller's interval (1954) for a ratio; NaN where the ceiling is not above
    bare. The added probes are one where only the regime hits and one where only the ceiling does.
    See docs/verdicts.md#markers.
    """
    sides = np.stack([hits, ceiling, bare], axis=1).astype(np.float64)
    kinds = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return _ratio(sides, kinds, np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]]), clusters)


def relative_difference(
    counts: Array, first: int, second: int, unit: int, clusters: Sequence[str]
) -> Interval:
    """(mean of the second side - mean of the first) / mean of the unit, which may be one of them.

    The sides are columns of counts [probes, sides]; the interval is Fieller's (1954) for a ratio. The added
    probes are one where only the first has any, and one where only the second has, as many as the largest
    count of either. See docs/verdicts.md#markers.
    """
    kinds = np.tile(counts.mean(0), (2, 1))
    kinds[:, [first, second]] = counts[:, [first, second]].max() * np.eye(2)
    terms = np.zeros((2, counts.shape[1]))
    terms[0, [first, second]] = -1, 1
    terms[1, unit] = 1
    return _ratio(counts, kinds, terms, clusters)


def _ratio(sides: Array, kinds: Array, terms: Array, clusters: Sequence[str]) -> Interval:
    """Ratio of two sums of means [2, columns] over what the sides answered [probes, columns]."""
    above, below = terms @ sides.mean(0)
    if below <= 0:
        return Interval.unknown()
    table, jackknife = Jackknife.enlarged(sides, kinds, clusters)
    parts = jackknife.weights @ table @ terms.T / below
    return jackknife.pivot(float(above / below), *(jackknife.influence(part) for part in parts.T)).interval
