"""How the position between two poles answers the weight of a mixture of them."""

from collections.abc import Iterable, Sequence
from math import inf, nan

import numpy as np

from coherence.statistics import student
from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import TAIL, Interval
from coherence.statistics.jackknife import Jackknife
from coherence.statistics.products import Products

TINY = 1e-24  # a variance below it is rounding
HALVINGS = 30  # of the range of weights, to find an end of the tipping weight's interval


class Response:
    """Positions along the pole-to-pole axis, for the weights `at` [mixtures] rising from 0 to 1.

    Inner products run over probes of different clusters, so that the noise of a probe is never its position.
    """

    def __init__(self, at: Iterable[float], mixed: Real, axis: Real, clusters: Sequence[str]) -> None:
        """From residuals [mixtures, probes, width], negative pole first, and axes [probes, width]."""
        self._at = np.array(tuple(at))
        self._jackknife = Jackknife(clusters)
        self._products = Products.of(mixed - mixed[0], axis, clusters)
        self._moved = self._products.across(self._jackknife.weights).T
        self._axis = Products.of(axis, axis, clusters).across(self._jackknife.weights)

    def separation(self) -> Interval:
        """Distance of the regime's poles along the mean axis, over the length of that axis."""
        return self._ratio(self._moved[:, -1], self._axis)

    def position(self) -> list[Interval]:
        """m(w): 0 at the regime's negative pole and 1 at its positive one; one for each mixture."""
        return [self._ratio(moved, self._moved[:, -1]) for moved in self._moved.T]

    def area(self) -> Interval:
        """Signed area under D(w) = m(w) - w; above 0 the positive pole attracts."""
        whole = self._moved[:, -1]
        return self._ratio(np.trapezoid(self._moved - whole[:, None] * self._at, self._at, axis=1), whole)

    def tipping(self) -> Interval:
        """Smallest weight at which m reaches 1/2, by linear interpolation."""
        return Tipping(self._at, self._moved, self._jackknife).interval

    def pull(self) -> Array:
        """Signed area of each probe on the scale of them all: [probes]."""
        along = self._products.between.sum(-1) / self._products.apart.sum(-1)
        return np.asarray(np.trapezoid((along / along[-1].mean()).T - self._at, self._at, axis=1))

    def _ratio(self, above: Array, below: Array) -> Interval:
        return self._jackknife.ratio(above[:, None], below[:, None]).interval


class Tipping:
    """Where m first reaches 1/2: a weight is doubted by how surely m is over or under it by then."""

    def __init__(self, at: Array, moved: Array, jackknife: Jackknife) -> None:
        """From what the mixtures `at` move, [1 + clusters, mixtures]."""
        whole = moved[0, -1]
        over = (moved - moved[:, -1:] / 2) / (whole if whole else np.nan)
        self._at, self._over, self._size = at, over[0], jackknife.size
        self._influence = np.stack([jackknife.influence(values) for values in over.T])

    @property
    def interval(self) -> Interval:
        """Weights that are not doubted."""
        value = self._value()
        if not np.isfinite(self._influence.sum() + value) or self._size < 2:
            return Interval(value, -inf, inf)
        q = student.quantile(1 - TAIL, self._size - 1)
        low, high = self._first(-q), self._first(q)

        def doubt(bound: float) -> float:
            surely = self._surely_over(bound)
            return student.below(surely if bound < value else -surely, self._size - 1)

        return Interval(value, min(low, value), max(high, value), doubt)

    def _value(self) -> float:
        after = int(np.argmax(self._over >= 0))
        if not after:  # undefined, as m begins at 0
            return nan
        (start, end), (left, right) = self._over[after - 1 : after + 1], self._at[after - 1 : after + 1]
        return float(left - (right - left) * start / (end - start))

    def _surely_over(self, weight: float) -> float:
        """Largest t of m - 1/2 at the mixtures up to a weight, and there."""
        weight = min(max(weight, 0.0), 1.0)
        points = np.append(self._at[self._at < weight], weight)
        share = np.stack([np.interp(points, self._at, row) for row in np.eye(len(self._at))], axis=1)
        squares = np.square(share @ self._influence).sum(1) * self._size / (self._size - 1)
        over = share @ self._over
        return float(np.max(np.where(over == 0, 0.0, over / np.sqrt(np.maximum(squares, TINY)))))

    def _first(self, t: float) -> float:
        """First weight by which m is over 1/2 with this t; 1 when it never is."""
        left, right = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (left + right) / 2
            left, right = (left, middle) if self._surely_over(middle) >= t else (middle, right)
        return right
