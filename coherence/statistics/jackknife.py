"""What each cluster of probes adds to a statistic: the sample without it, and the pivot that follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import copysign, exp, inf, isfinite, log, nan, sqrt

import numpy as np

from coherence.statistics import student
from coherence.statistics.curvature import FEWEST, bent, straightened
from coherence.statistics.heavy_tail import with_unseen
from coherence.statistics.intervals import TAIL, Array, Interval
from coherence.vocabulary import Influence

Terms = Callable[[Array], tuple[Array, Array]]
"""From weights of the probes [rows, probes] to what is above and below a line, [rows, terms] each."""


@dataclass(frozen=True)
class Pivot:
    """An estimate `value` = above / below, tested against a bound by Student's t of above - bound * below.

    t = gap / sqrt(spread + 2 gap shared + gap^2 below), with gap = value - bound, and all of it in units of
    the term below. A bound is tested without dividing by a term that is noise itself (Fieller 1954): where
    that term is not told from 0, no bound is refused, and the interval is endless. Both terms are taken to be
    normal, but for their curvature. See docs/verdicts.md#intervals.
    """

    value: float
    spread: float  # variance of above - value * below
    shared: float  # its covariance with below
    below: float  # variance of below
    freedom: float  # degrees of freedom
    curvature: float = 0.0  # of above - value * below, as a function of the weights of the probes
    influence: Influence | None = field(default=None, compare=False, repr=False)  # of the clusters, by name

    @classmethod
    def of(cls, value: float, above: Array, below: Array, freedom: float) -> "Pivot":
        """Add up what each cluster adds to both terms, [clusters] each: their squares to variances."""
        apart = above - value * below
        return cls(value, float(apart @ apart), float(apart @ below), float(below @ below), freedom)

    @classmethod
    def unknown(cls, value: float) -> "Pivot":
        """Make one whose spread is not known, so that no bound is refused."""
        return cls(value, inf, 0.0, inf, 1.0)

    @property
    def known(self) -> bool:
        """Whether the spread is known, as it is not of one cluster, or of what is undefined without some."""
        return isfinite(self.spread)

    def doubt(self, bound: float) -> float:
        """One-sided p that the truth lies at the bound or beyond it."""
        if not self.known:
            return 1.0
        gap = self.value - bound
        variance = self.spread + 2 * gap * self.shared + gap**2 * self.below
        t = abs(gap) / sqrt(variance) if variance > 0 else inf * abs(gap) if gap else 0.0
        # Where gap and `shared` differ in sign, t peaks and falls again to 1 / sqrt(below) at an endless gap.
        # It is cut off there, so that no bound further away has a larger p.
        t = copysign(min(t, 1 / sqrt(self.below) if self.below > 0 else inf), gap)
        p = student.below(-copysign(1, gap) * straightened(t, self.curvature), self.freedom)
        # Curvature moves the median off the estimate; a bound just beside it would have a p above one half.
        return min(p, 0.5) if gap else 0.5

    def limits(self, tail: float = TAIL) -> tuple[float, float]:
        """Bounds with a doubt of `tail` on either side, infinite where no bound has one so small."""
        q = student.quantile(1 - tail, self.freedom)
        return self._end(bent(q, self.curvature)), self._end(bent(-q, self.curvature))

    def _end(self, t: float) -> float:
        """Bound that the value exceeds by t standard errors."""
        # Fieller's set has two ends only where the term below is told from 0 at this t. Else it is the whole
        # line, or all but a stretch of it, which `doubt` does not refuse either.
        rest = 1 - t**2 * self.below
        if not self.known or rest <= 0:
            return copysign(inf, -t)
        half = abs(t) * sqrt(t**2 * self.shared**2 + rest * self.spread)
        return self.value - (t**2 * self.shared + copysign(half, t)) / rest

    @property
    def interval(self) -> Interval:
        """Every bound whose doubt is at least 2.5 %, on either side of the estimate."""
        return Interval(self.value, *self.limits(), self.doubt, self.influence)


class Jackknife:
    """The sample, and the sample without each of its clusters in turn.

    Cluster i adds u_i = (1 - share_i) (statistic of all - statistic without i), and the variance is
    K / (K - 1) sum of u_i^2, with Student's t of K - 1 degrees of freedom, K = 1 / sum of share_i^2 (Kish).
    Clusters are taken to be drawn independently of each other. See docs/verdicts.md#intervals.

    Probes may be added that stand for what a small sample has not shown. Each is a cluster of its own and
    weighs as much as `weight` of the others. They are not counted in `size`: nobody saw how they differ.
    """

    def __init__(self, clusters: Sequence[str], added: int = 0, weight: float = 1.0) -> None:
        names, members = np.unique(np.asarray(clusters), return_inverse=True)
        self._names: list[str] = names.tolist()
        self._members = members = np.append(members, len(names) + np.arange(added))
        self._mass = np.append(np.ones(len(members) - added), np.full(added, weight))
        self._share = np.bincount(members, self._mass) / self._mass.sum()
        kept = members != np.arange(len(self._share))[:, None]
        self.weights: Array = np.vstack([np.ones(len(members)), kept]) * self._mass
        """The sample first, [1 + clusters, probes]; rows have the sum 1."""
        # Without the only cluster there is a row of zeros, which must not become NaN.
        self.weights /= np.maximum(self.weights.sum(1, keepdims=True), 1)

    @classmethod
    def enlarged(cls, table: Array, kinds: Array, clusters: Sequence[str]) -> tuple[Array, "Jackknife"]:
        """Add a probe of each kind [kinds, columns] to what the probes answered [probes, columns].

        After Bonett and Price (2012), who add one of each for probes drawn one by one. Here each weighs as
        much as the design effect says, and no less than one. See docs/verdicts.md#intervals.
        """
        whole = np.vstack([table, kinds]).astype(np.float64)
        # Where the probes of a template answer alike, a single one is worth nearly nothing. A few templates
        # cannot show that theirs do not: so one of each kind, with probes that do, is put beside them.
        alike = cls(clusters, len(kinds), len(table) / len(set(clusters)))
        return whole, cls(clusters, len(kinds), max(1.0, alike.design_effect(whole)))

    def design_effect(self, table: Array) -> float:
        """Variance of the means of a table [probes, columns], over what it is of probes drawn one by one.

        D = sum over clusters of |sum of v - mean|^2 / sum over probes of |v - mean|^2, v being a row.
        """
        apart = table - self.weights[0] @ table
        moved = self._mass[:, None] * apart
        together = (self._members == np.arange(len(self._share))[:, None]) @ moved
        return float(np.square(together).sum() / (moved * apart).sum())

    @property
    def size(self) -> float:
        """How many clusters of one size are worth as much as the sample's, 1 / sum of share^2 (Kish)."""
        share = self._share[: len(self._names)]
        return float(share.sum() ** 2 / (share @ share))

    def influence(self, values: Array) -> Array:
        """Say what each cluster adds to a statistic, [clusters], from its values at `weights`."""
        # With this factor a mean is exact: share_i (mean of i - mean of all), however unequal clusters are.
        return np.asarray((1 - self._share) * (values[0] - values[1:]))

    def around(self, value: float, values: Array) -> Pivot:
        """Pivot of an estimate whose spread is that of a statistic with these values at `weights`."""
        if not (isfinite(value) and np.isfinite(values).all()):
            return Pivot.unknown(value)
        influence = self.influence(values)
        return self.pivot(value, influence, np.zeros_like(influence))

    def ratio(self, above: Array, below: Array) -> Pivot:
        """Pivot of the sum of above / below over terms [1 + clusters, terms].

        With several terms its `below` is their mean, each in units of what it is in the sample. A term that
        is undefined without some cluster leaves the spread unknown.
        """
        scale = np.where(below[0] == 0, nan, below[0])
        each, unit = above[0] / scale, below / scale
        value = float(each.sum())
        # Every term keeps the ratio that it has in the sample, so that none is divided by noise of its own.
        apart = (above / scale - each * unit).sum(1)
        if not np.isfinite(apart + unit.sum(1)).all():
            return Pivot.unknown(value)
        shared = unit.mean(1)
        return self.pivot(value, self.influence(apart + value * shared), self.influence(shared))

    def curved(self, terms: Terms) -> Pivot:
        """Pivot of such a ratio whose terms are no means over clusters, but curved in their weights.

        Student's t leans by its curvature, to second order (Helmers 1991). See docs/verdicts.md#intervals.
        """
        above, below = terms(self.weights)
        pivot = self.ratio(above, below)
        if not pivot.known:
            return pivot

        def apart(over: Array, under: Array) -> Array:
            return np.asarray(((over - above[0] / below[0] * under) / below[0]).sum(1))

        influence = self.influence(apart(above, below))
        return replace(pivot, curvature=self.curvature(influence, lambda weights: apart(*terms(weights))))

    def curvature(self, influence: Array, statistic: Callable[[Array], Array]) -> float:
        """Second difference of a statistic [rows] a standard error s to either side, in those: -1 to 1.

        (f(s) - 2 f(0) + f(-s)) / s. The sample is moved by the weights of its probes [rows, probes], along
        the influence [clusters], whose length is s. Below seven clusters it is noise, and 0 is given.
        """
        length = sqrt(influence @ influence)
        if self.size < FEWEST or not length:
            return 0.0
        # As far as samples stray, and not a derivative at this one: it is over that stretch that t leans.
        moved = self.weights[0] * (1 + np.outer([0, 1, -1], influence / length)[:, self._members])
        middle, up, down = statistic(moved / moved.sum(1, keepdims=True))
        return float(np.clip(np.nan_to_num((up - 2 * middle + down) / length), -1, 1))

    def pivot(self, value: float, above: Array, below: Array) -> Pivot:
        """Pivot of an estimate from what each cluster adds to both of its terms, [clusters] each.

        A single cluster leaves the spread unknown.
        """
        if self.size < 2:
            return Pivot.unknown(value)
        known = len(self._names)
        # K / (K - 1) mends a spread about its own mean. That of the added probes was not seen, but put there.
        scale = np.where(np.arange(len(above)) < known, sqrt(self.size / (self.size - 1)), 1.0)
        adds = scale * (above - value * below)
        rest = float(np.linalg.norm(adds[known:]))
        freedom = self._freedom(float(np.linalg.norm(adds[:known])), rest)
        named = dict(zip(self._names, adds.tolist(), strict=False))
        influence = Influence(clusters=named, added=rest, freedom=freedom)
        return replace(Pivot.of(value, scale * above, scale * below, freedom), influence=influence)

    def _freedom(self, shown: float, added: float) -> float:
        """Degrees of freedom of a variance in two parts, each with those of the clusters (Welch 1947)."""
        share = added**2 / (shown**2 + added**2) if added else 0.0
        return (self.size - 1) / (share**2 + (1 - share) ** 2)


def mean(values: Array, clusters: Sequence[str]) -> Interval:
    """Mean of values [probes], by the jackknife over clusters, which are taken to be independent.

    See docs/verdicts.md#intervals.
    """
    jackknife, means = _means(values, clusters)
    return jackknife.around(float(means[0]), means).interval


def positive_mean(values: Array, clusters: Sequence[str]) -> Interval:
    """Mean of values [probes] that are never negative, such as KL, from the spread of its logarithm.

    A few large values make such a mean, so that a sample without them is too low and too sure of it. A bound
    is therefore refused where it is too far from this mean and from that with one cluster more, which lies
    beyond all that were drawn (`with_unseen`): the upper end reaches further. See docs/verdicts.md#intervals.
    """
    plain, (seen, means) = mean(values, clusters), _means(values, clusters)
    if not plain.value > 0 or seen.size < 2:
        return plain
    wider, higher = _means(*with_unseen(values, clusters))
    # In units of the mean, as its logarithm is not there without a cluster that holds all of it.
    of_sample = seen.around(log(plain.value), means / plain.value)
    logarithm = either(of_sample, wider.around(log(higher[0]), np.log(higher)))

    def doubt(bound: float) -> float:
        return logarithm.doubt(log(bound)) if bound > 0 else 0.0

    return Interval(plain.value, exp(logarithm.low), exp(logarithm.high), doubt, plain.influence)


def mean_cosine(values: Array, clusters: Sequence[str]) -> Interval:
    """Mean of cosines [probes], whose long tail is that of their distance from 1.

    1 - the interval of the mean of 1 - cosine, by `positive_mean`. See docs/verdicts.md#intervals.
    """
    apart = positive_mean(1 - values, clusters)
    influence = mean(values, clusters).influence
    return Interval(
        1 - apart.value, 1 - apart.high, 1 - apart.low, lambda bound: apart.doubt(1 - bound), influence
    )


def ratio_of_means(above: Array, below: Array, clusters: Sequence[str]) -> Interval:
    """Sum over terms of mean above / mean below, both [terms, probes], tested after Fieller (1954).

    See docs/verdicts.md#intervals.
    """
    jackknife = Jackknife(clusters)
    return jackknife.ratio(jackknife.weights @ above.T, jackknife.weights @ below.T).interval


def positive_ratio(above: Array, below: Array, clusters: Sequence[str]) -> Interval:
    """Mean of above over that of below, both [probes] and never negative, such as KL.

    A bound is refused where it is too far from the ratio of the sample and from that with one cluster more,
    of average `below`, whose excess above - ratio * below lies beyond all that were drawn (`with_unseen`).
    See docs/verdicts.md#intervals.
    """
    whole = float(below.mean())
    if not whole > 0:
        return ratio_of_means(above[None], below[None], clusters)
    beyond, named = with_unseen(above - above.mean() / whole * below, clusters)
    unseen = beyond[len(above) :]
    wider = np.append(above, unseen + above.mean()), np.append(below, np.full_like(unseen, whole))
    return either(_ratio(above, below, clusters), _ratio(*wider, named))


def smallest(pivots: Sequence[Pivot]) -> Interval:
    """Interval of the smallest of several truths, whichever that is.

    All must be above a bound for the smallest to be, so the least certain decides (intersection-union test);
    one below is enough, so that one of many is below by chance must be allowed for (Bonferroni). Nothing is
    assumed of how they depend on each other. See docs/verdicts.md#intervals.
    """
    value = float(np.min([pivot.value for pivot in pivots]))
    if np.isnan(value):
        return Interval.unknown(value)

    def doubt(bound: float) -> float:
        if bound < value:
            return max(pivot.doubt(bound) for pivot in pivots)
        return min(1.0, len(pivots) * min(pivot.doubt(bound) for pivot in pivots if pivot.value <= bound))

    low = min(pivot.limits()[0] for pivot in pivots)
    high = min(pivot.limits(TAIL / len(pivots))[1] for pivot in pivots)
    return Interval(value, low, high, doubt, min(pivots, key=lambda pivot: pivot.value).influence)


def either(first: Pivot, second: Pivot) -> Interval:
    """Interval of the first, with all that the second does not refuse.

    For a sample, and the sample with what it may not have shown. See docs/verdicts.md#intervals.
    """
    value = first.value

    def doubt(bound: float) -> float:
        # A bound between the two estimates is refused by neither.
        side = bound < value
        return max(pivot.doubt(bound) if (bound < pivot.value) == side else 0.5 for pivot in (first, second))

    ends = first.limits(), second.limits()
    return Interval(value, min(low for low, _ in ends), max(high for _, high in ends), doubt, first.influence)


def _means(values: Array, clusters: Sequence[str]) -> tuple[Jackknife, Array]:
    jackknife = Jackknife(clusters)
    return jackknife, jackknife.weights @ values


def _ratio(above: Array, below: Array, clusters: Sequence[str]) -> Pivot:
    jackknife = Jackknife(clusters)
    return jackknife.ratio(*((jackknife.weights @ side)[:, None] for side in (above, below)))
