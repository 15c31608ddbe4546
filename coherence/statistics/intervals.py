"""95 % intervals: clustered bootstrap for any statistic, Wilson for a proportion."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Interval:
    """An estimate inside its 95 % interval; -inf to inf says that nothing is known."""

    value: float
    low: float
    high: float


def uniform(n: int) -> Array:
    """One row of equal weights, [1, n]: the sample as it is."""
    return np.full((1, n), 1.0 / n)


def bootstrap(
    statistic: Callable[[Array], Array], clusters: Sequence[str], seed: int, resamples: int = 2000
) -> Interval:
    """Interval of a statistic when whole clusters of probes are drawn anew (Efron 1987, BCa).

    `statistic` maps probe weights [resamples, n_probes] (each row non-negative, sum 1) to values [resamples];
    `clusters` names the cluster of each probe. Where BCa is undefined (all resamples on one side of the
    estimate, or some without a value) the percentile interval of those that have a value is taken. Fewer than
    two clusters, or no value in the sample or in most resamples: -inf to inf.
    """
    members = np.unique(np.asarray(clusters), return_inverse=True)[1]
    size = int(members.max()) + 1

    def of_clusters(drawn: Indices, axis: int = -1) -> Array:
        weights = _weights(drawn.reshape(-1, drawn.shape[-1]), members, size)
        return statistic(weights).reshape(drawn.shape[:-1])

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        value = float(statistic(uniform(len(members)))[0])
        if size < 2 or np.isnan(value):
            return Interval(value, -inf, inf)
        low, high = _limits(of_clusters, size, seed, resamples)
    return Interval(value, min(low, value), max(high, value))


def _weights(drawn: Indices, members: Indices, size: int) -> Array:
    """Probe weights [resamples, n_probes] of drawn cluster numbers [resamples, draws]."""
    offsets = size * np.arange(len(drawn))[:, None]
    counts = np.bincount((drawn + offsets).ravel(), minlength=size * len(drawn)).reshape(len(drawn), size)
    weights: Array = counts[:, members].astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def _limits(statistic: Callable[..., Array], size: int, seed: int, resamples: int) -> tuple[float, float]:
    from scipy import stats

    result = stats.bootstrap(
        (np.arange(size),), statistic, n_resamples=resamples, vectorized=True, method="BCa", rng=seed
    )
    low, high = map(float, result.confidence_interval)
    if np.isfinite(low) and np.isfinite(high):
        return low, high
    known = result.bootstrap_distribution[np.isfinite(result.bootstrap_distribution)]
    if 2 * len(known) < resamples:
        return -inf, inf
    return float(np.quantile(known, 0.025)), float(np.quantile(known, 0.975))


def wilson(hits: float, n: int) -> Interval:
    """Wilson score interval of a proportion; `hits` may be fractional. It has width at 0 and at n as well."""
    if n == 0:
        return Interval(nan, 0.0, 1.0)
    rate = hits / n
    centre = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    return Interval(rate, min(rate, max(0.0, centre - half)), max(rate, min(1.0, centre + half)))
