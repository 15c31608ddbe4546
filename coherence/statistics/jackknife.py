"""What each cluster of probes adds to a statistic: the sample without it, and the pivot that follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt

import numpy as np

from coherence.statistics import student
from coherence.statistics.intervals import TAIL, Array, Interval


@dataclass(frozen=True)
class Pivot:
    """An estimate `value` = above / below, tested against a bound by Student's t of above - bound * below.

    Both terms are in units of `below`. A bound is tested without dividing by a term that is noise itself
    (Fieller 1954): where that term is not told from 0, no bound is refused, and the interval is endless.
    """

    value: float
    spread: float  # variance of above - value * below
    shared: float  # its covariance with below
    below: float  # variance of below
    freedom: float  # degrees of freedom

    @classmethod
    def of(cls, value: float, above: Array, below: Array, size: float) -> "Pivot":
        """From what each of `size` clusters adds to both terms, [clusters] each."""
        scale = size / (size - 1)
        apart = above - value * below
        spread, shared, own = scale * (apart @ apart), scale * (apart @ below), scale * (below @ below)
        return cls(value, float(spread), float(shared), float(own), size - 1)

    @classmethod
    def unknown(cls, value: float) -> "Pivot":
        """Make one whose spread is not known, so that no bound is refused."""
        return cls(value, inf, 0.0, inf, 1.0)

    @property
    def known(self) -> bool:
        """Whether the spread is known."""
        return isfinite(self.spread)

    def doubt(self, bound: float) -> float:
        """One-sided p that the truth lies at the bound or beyond it."""
        if not self.known:
            return 1.0
        gap = self.value - bound
        variance = self.spread + 2 * gap * self.shared + gap**2 * self.below
        t = abs(gap) / sqrt(variance) if variance > 0 else inf * abs(gap) if gap else 0.0
        # A bound further away is never less doubtful: no t is larger than that of an endless gap.
        return student.below(-min(t, 1 / sqrt(self.below) if self.below > 0 else inf), self.freedom)

    def limits(self, tail: float = TAIL) -> tuple[float, float]:
        """Bounds with a doubt of `tail` on either side."""
        if not self.known:
            return -inf, inf
        q = student.quantile(1 - tail, self.freedom) ** 2
        rest = 1 - q * self.below
        if rest <= 0:
            return -inf, inf
        half = sqrt((q * self.shared) ** 2 + rest * q * self.spread)
        return self.value - (q * self.shared + half) / rest, self.value - (q * self.shared - half) / rest

    @property
    def interval(self) -> Interval:
        """Everything that is not doubted."""
        return Interval(self.value, *self.limits(), self.doubt)


class Jackknife:
    """The sample, and the sample without each of its clusters in turn.

    Probes may be added that stand for what a small sample has not shown; each is a cluster of its own.
    """

    def __init__(self, clusters: Sequence[str], added: int = 0) -> None:
        members = np.unique(np.asarray(clusters), return_inverse=True)[1]
        members = np.append(members, members.max() + 1 + np.arange(added))
        self._share = np.bincount(members) / len(members)
        kept = members != np.arange(len(self._share))[:, None]
        self.weights: Array = np.vstack([np.ones(len(members)), kept])
        """The sample first, [1 + clusters, probes]; rows have the sum 1."""
        self.weights /= np.maximum(self.weights.sum(1, keepdims=True), 1)

    @property
    def size(self) -> float:
        """How many clusters of one size are worth as much as these (Kish)."""
        return float(1 / (self._share @ self._share))

    def influence(self, values: Array) -> Array:
        """Say what each cluster adds to a statistic, [clusters], from its values at `weights`."""
        return np.asarray((1 - self._share) * (values[0] - values[1:]))

    def around(self, value: float, values: Array) -> Pivot:
        """Pivot of an estimate whose spread is that of a statistic with these values at `weights`."""
        if self.size < 2 or not np.isfinite(values).all():
            return Pivot.unknown(value)
        influence = self.influence(values)
        return Pivot.of(value, influence, np.zeros_like(influence), self.size)

    def ratio(self, above: Array, below: Array) -> Pivot:
        """Pivot of the sum of above / below over terms [1 + clusters, terms].

        With several terms its `below` is their mean, each in units of what it is in the sample. A single
        cluster, or a term that is undefined without some cluster, leaves the spread unknown.
        """
        scale = np.where(below[0] == 0, nan, below[0])
        each, unit = above[0] / scale, below / scale
        value = float(each.sum())
        apart = (above / scale - each * unit).sum(1)
        if self.size < 2 or not np.isfinite(apart + unit.sum(1)).all():
            return Pivot.unknown(value)
        shared = unit.mean(1)
        return Pivot.of(value, self.influence(apart + value * shared), self.influence(shared), self.size)


def smallest(pivots: Sequence[Pivot]) -> Interval:
    """Interval of the smallest of several truths, whichever that is.

    All must be above a bound for the smallest to be, so the least certain decides (intersection-union test);
    one below is enough, so that one of many is below by chance must be allowed for (Bonferroni).
    """
    value = float(np.min([pivot.value for pivot in pivots]))
    if np.isnan(value):
        return Interval(value, -inf, inf)

    def doubt(bound: float) -> float:
        if bound < value:
            return max(pivot.doubt(bound) for pivot in pivots)
        return min(1.0, len(pivots) * min(pivot.doubt(bound) for pivot in pivots if pivot.value <= bound))

    low = min(pivot.limits()[0] for pivot in pivots)
    high = min(pivot.limits(TAIL / len(pivots))[1] for pivot in pivots)
    return Interval(value, low, high, doubt)


def either(first: Pivot, second: Pivot) -> Interval:
    """Interval of the first, with all that the second does not refuse."""
    value = first.value

    def doubt(bound: float) -> float:
        side = bound < value
        return max(pivot.doubt(bound) if (bound < pivot.value) == side else 0.5 for pivot in (first, second))

    ends = first.limits(), second.limits()
    return Interval(value, min(low for low, _ in ends), max(high for _, high in ends), doubt)
