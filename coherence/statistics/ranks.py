"""Rank correlation: whether one thing rises with another, along whatever curve."""

from math import atanh, nan, sqrt, tanh

import numpy as np

from coherence.statistics.intervals import Array, Interval, Z


def spearman(first: Array, second: Array) -> Interval:
    """Spearman's rho of two samples [n] with its interval (Bonett and Wright 2000).

    rho is the correlation of the ranks; the interval is tanh(atanh rho +- z sqrt((1 + rho^2 / 2) / (n - 3))).
    NaN, and nothing known, where one of them is constant or there are fewer than four. Pairs are taken to be
    independent. See docs/verdicts.md#controls, Length.
    """
    n = len(first)
    one, two = (_ranks(sample) - (n + 1) / 2 for sample in (first, second))
    lengths = sqrt(float(one @ one) * float(two @ two))
    if n < 4 or lengths == 0:
        return Interval(nan, -1.0, 1.0)
    rho = float(one @ two) / lengths
    # atanh is infinite at 1.
    if abs(rho) > 1 - 1e-12:
        return Interval(rho, rho, rho)
    half = Z * sqrt((1 + rho**2 / 2) / (n - 3))
    return Interval(rho, tanh(atanh(rho) - half), tanh(atanh(rho) + half))


def _ranks(sample: Array) -> Array:
    """From 1; those that are equal share the mean of their ranks."""
    _, member, counts = np.unique(sample, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[member], dtype=np.float64)
