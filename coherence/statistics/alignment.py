"""Two mean directions, free of noise: how alike they are, and how far one goes along the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Jackknife, Pivot, smallest
from coherence.statistics.products import Products


@dataclass(frozen=True)
class Alignment:
    """Inner products of two mean directions at each depth: of the sample, and without each of its clusters.

    <a, b> is the mean of a(q) . b(q') over pairs of probes of different clusters, so that noise of a probe
    which both sides share is not counted as agreement (the cross-validated inner product of Walther et al.
    2016, NeuroImage 137). In expectation the cosine <a, b> / sqrt(<a, a> <b, b>) is the plain one divided by
    its ceiling. It is not bound to 1, and undefined where a direction is not told from noise. Clusters are
    taken to be drawn independently. See docs/verdicts.md#directions.
    """

    between: Array  # [depths, 1 + clusters]
    first: Array  # of the first with itself
    second: Array
    jackknife: Jackknife

    @classmethod
    def of(cls, first: Real, second: Real, clusters: Sequence[str]) -> "Alignment":
        """From vectors of each probe, [depths, probes, width]."""

        def by_probe(one: Real, other: Real) -> Array:
            return np.asarray(one @ np.swapaxes(other, -1, -2), dtype=np.float64)

        return cls.from_products(
            by_probe(first, second), by_probe(first, first), by_probe(second, second), clusters
        )

    @classmethod
    def from_products(
        cls, between: Array, first: Array, second: Array, clusters: Sequence[str]
    ) -> "Alignment":
        """From inner products of every two probes, [depths, probes, probes]."""
        jackknife = Jackknife(clusters)

        def across(products: Array) -> Array:
            return Products.among(products, clusters).across(jackknife.weights)

        return cls(across(between), across(first), across(second), jackknife)

    def at(self, depths: Sequence[int]) -> "Alignment":
        """Return the comparison at these depths alone: what is averaged is averaged over them."""
        kept = list(depths)
        return Alignment(self.between[kept], self.first[kept], self.second[kept], self.jackknife)

    def cosine(self) -> Interval:
        """Cosine <a, b> / sqrt(<a, a> <b, b>), averaged over the depths; a jackknife of ratios."""
        return self._pivot.interval

    def cosines(self) -> list[Interval]:
        """Cosine at each depth by itself: [depths], not adjusted for how many there are."""
        return [self.at([depth]).cosine() for depth in range(len(self.between))]

    def least_cosine(self) -> Interval:
        """Cosine at the depth where it is least, whichever that is.

        Above a bound only if all are (intersection-union), below it if one is (Bonferroni over the depths).
        """
        return smallest([self.at([depth])._pivot for depth in range(len(self.between))])

    def strength(self) -> Interval:
        """How far the second goes along the first, <second, first> / <first, first>, averaged over depths.

        1 where it goes as far, 0 where it does nothing or something else, below 0 where it goes the other
        way. A ratio, whose interval is Fieller's (1954).
        """
        return self._averaged(self.between, self._length).interval

    def strengths(self) -> list[Interval]:
        """Strength at each depth by itself: [depths], not adjusted for how many there are."""
        return [self.at([depth]).strength() for depth in range(len(self.between))]

    def lead(self, others: Sequence["Alignment"]) -> Interval:
        """Cosine, minus the largest of others with the same first direction, whichever that is.

        It is the smallest of the differences, and tested as such. See docs/verdicts.md#collinearity.
        """
        return smallest(self.leads(others))

    def leads(self, others: Sequence["Alignment"]) -> list[Pivot]:
        """Cosine minus that of each of the others, for the smallest of more than one direction's."""
        return [self._minus(other) for other in others]

    def _weaker(self, other: "Alignment") -> Pivot:
        """How much less far than in another comparison the second goes along the first."""
        above = np.vstack([other.between, -self.between])
        return self._averaged(above, np.vstack([other._length, self._length]))

    def _minus(self, other: "Alignment") -> Pivot:
        above = np.vstack([self.between, -other.between])
        return self._averaged(above, np.vstack([self._lengths, other._lengths]))

    @property
    def _pivot(self) -> Pivot:
        return self._averaged(self.between, self._lengths)

    @property
    def _length(self) -> Array:
        """Square of the first's length; NaN where it is noise."""
        return np.where(self.first > 0, self.first, nan)

    @property
    def _lengths(self) -> Array:
        """Product of both lengths; NaN where one is noise."""
        known = (self.first > 0) & (self.second > 0)
        return np.sqrt(np.where(known, self.first * self.second, nan))

    def _averaged(self, above: Array, below: Array) -> Pivot:
        return self.jackknife.ratio(above.T / len(self.between), below.T)


def smallest_cosine(compared: Sequence[Alignment]) -> Interval:
    """Cosine where it is smallest, whichever that is: above a bound only if all are."""
    return smallest([one._pivot for one in compared])


def largest_cosine(compared: Sequence[Alignment]) -> Interval:
    """Cosine where it is largest, whichever that is: below a bound only if all are."""
    return -smallest([one._averaged(-one.between, one._lengths) for one in compared])


def largest_strength(compared: Sequence[Alignment]) -> Interval:
    """Strength where it is largest, whichever that is: below a bound only if all are."""
    return -smallest([one._averaged(-one.between, one._length) for one in compared])


def largest_change(compared: Sequence[tuple[Alignment, Alignment]]) -> Interval:
    """Difference of two strengths, up or down, where it is largest: below a bound only if all are."""
    return -smallest([pivot for one, other in compared for pivot in (one._weaker(other), other._weaker(one))])
