"""How the position between two poles answers the weight of a mixture of them."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from math import inf, nan

import numpy as np

from coherence.statistics import student
from coherence.statistics.curvature import straightened
from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import TAIL, Interval
from coherence.statistics.jackknife import Jackknife, Pivot, Terms, smallest
from coherence.statistics.products import Products
from coherence.statistics.shape import Logistic, Shape, line

TINY = 1e-24  # a variance below it is rounding
HALVINGS = 30  # of the range of weights or doses, to find an end of the interval of where m is 1/2


class Response:
    """Positions along the pole-to-pole axis, for the weights `at` [mixtures] rising from 0 to 1.

    m(w) = <h(w) - h(0), axis> / <h(1) - h(0), axis>. Inner products run over probes of different clusters, so
    that the noise of a probe is never its position (`Products`). Intervals are Fieller's (1954), with the
    curvature of Helmers 1991; clusters are taken to be independent. See docs/verdicts.md#attractor.
    """

    def __init__(self, at: Iterable[float], mixed: Real, axis: Real, clusters: Sequence[str]) -> None:
        """From residuals [mixtures, probes, width], negative pole first, and axes [probes, width]."""
        self._at = np.array(tuple(at))
        self._jackknife = Jackknife(clusters)
        self._products = Products.of(mixed - mixed[0], axis, clusters)
        self._axis = Products.of(axis, axis, clusters)
        self._lengths = np.square(axis, dtype=np.float64).sum(-1)

    @cached_property
    def axis(self) -> Interval:
        """Share of the probes' squared axes that they have in common, <axis, axis> / mean |axis(q)|^2.

        It is not above 0 when the axis is noise alone.
        """
        return self._ratio(lambda weights: (self._axis.across(weights), weights @ self._lengths))

    @cached_property
    def separation(self) -> Interval:
        """Distance of the regime's poles along the axis, <h(1) - h(0), axis> / <axis, axis>."""
        return self._ratio(lambda weights: (self._whole(weights), self._axis.across(weights)))

    @cached_property
    def position(self) -> list[Interval]:
        """m(w): 0 at the regime's negative pole and 1 at its positive one; one for each mixture."""

        def at(mixture: int) -> Interval:
            return self._ratio(lambda weights: (self._moved(weights)[:, mixture], self._whole(weights)))

        return [at(mixture) for mixture in range(len(self._at))]

    def gap(self, other: "Response", weight: float) -> Interval:
        """m(w) here minus m(w) there, at a weight that both have; paired, as the probes are the same.

        See docs/verdicts.md#gap.
        """
        here, there = (int(np.flatnonzero(side._at == weight)[0]) for side in (self, other))

        def terms(weights: Array) -> tuple[Array, Array]:
            own, others = self._moved(weights), other._moved(weights)
            above = np.stack([own[:, here], -others[:, there]], axis=1)
            return above, np.stack([own[:, -1], others[:, -1]], axis=1)

        return self._jackknife.curved(terms).interval

    @cached_property
    def smallest_step(self) -> Interval:
        """Least (m(w') - m(w)) / (w' - w) of neighbouring weights; below 0 where m turns back.

        Above a bound only if all are (intersection-union), below it if one is (Bonferroni).
        """

        def step(after: int) -> Pivot:
            unit = self._at[after] - self._at[after - 1]

            def terms(weights: Array) -> tuple[Array, Array]:
                moved = self._moved(weights)
                return (moved[:, [after]] - moved[:, [after - 1]]) / unit, moved[:, -1:]

            return self._jackknife.curved(terms)

        return smallest([step(after) for after in range(1, len(self._at))])

    @cached_property
    def logistic(self) -> Logistic:
        """Find the logistic curve nearest to m(w) of the whole sample, by least squares."""
        return Logistic.nearest(self._at, self._positions[0])

    @cached_property
    def steepness(self) -> Interval:
        """Root mean square error of the nearest line minus that of the nearest logistic curve, over m(w).

        The curves of the whole sample are held against the samples without a cluster as well: as both are
        nearest, their errors change by their own movement to second order only.
        """
        positions = self._positions
        if not np.isfinite(positions).all():
            return Interval.unknown()
        shapes: tuple[Shape, Shape] = line(self._at, positions[0]), self.logistic
        straight, switch = (np.sqrt(np.square(positions - shape(self._at)).mean(1)) for shape in shapes)
        apart = straight - switch
        return self._jackknife.around(float(apart[0]), apart).interval

    @cached_property
    def area(self) -> Interval:
        """Integral of D(w) = m(w) - w over w, by trapezoids; above 0 the positive pole attracts."""

        def terms(weights: Array) -> tuple[Array, Array]:
            moved = self._moved(weights)
            return np.trapezoid(moved - moved[:, -1:] * self._at, self._at, axis=1), moved[:, -1]

        return self._ratio(terms)

    @cached_property
    def tipping(self) -> Interval:
        """Smallest weight at which m reaches 1/2, by linear interpolation: see `Tipping`."""
        return Tipping(self._at, self._past_half, self._jackknife).interval

    @cached_property
    def pull(self) -> Array:
        """Signed area of each probe on the scale of them all: [probes]."""
        along = self._products.between.sum(-1) / self._products.apart.sum(-1)
        return np.asarray(np.trapezoid((along / along[-1].mean()).T - self._at, self._at, axis=1))

    @cached_property
    def _positions(self) -> Array:
        """m(w) of the sample, and without each of its clusters: [1 + clusters, mixtures]."""
        moved = self._moved(self._jackknife.weights)
        return moved / np.where(moved[:, -1:] == 0, nan, moved[:, -1:])

    def _moved(self, weights: Array) -> Array:
        """How far each mixture is from the first, [rows, mixtures]."""
        return self._products.across(weights).T

    def _whole(self, weights: Array) -> Array:
        """How far the last one is, [rows]."""
        return self._moved(weights)[:, -1]

    def _past_half(self, weights: Array) -> Array:
        """How far each mixture is past half of that, [rows, mixtures]."""
        return self._moved(weights) - self._whole(weights)[:, None] / 2

    def _ratio(self, terms: Terms) -> Interval:
        def columns(weights: Array) -> tuple[Array, Array]:
            above, below = terms(weights)
            return above[:, None], below[:, None]

        return self._jackknife.curved(columns).interval


class Contest(Response):
    """Positions between two personas, of which one is prompted and the other steered to, for doses `at`.

    m(d) = <h(d) - h(0), axis> / <axis, axis>: 0 where the prompt alone has the model, 1 where it is as far as
    the other's prompt brings it. See docs/verdicts.md#conflict.
    """

    @cached_property
    def winning(self) -> Interval:
        """Smallest dose at which m reaches 1/2, by linear interpolation; it may lie beyond the last."""
        return Tipping(self._at, self._past_half, self._jackknife, censored=True).interval

    def _whole(self, weights: Array) -> Array:
        """How far the other's prompt is from the prompt, [rows]."""
        return self._axis.across(weights)


class Tipping:
    """Where m first reaches 1/2: a place is doubted by how surely m is over or under it by then.

    t is that of how far m is past 1/2, <h(w) - h(0), axis> - <h(1) - h(0), axis> / 2, so that m needs no
    division, and m is taken to be a line between two places. See docs/verdicts.md#attractor.
    """

    def __init__(
        self, at: Array, past: Callable[[Array], Array], jackknife: Jackknife, *, censored: bool = False
    ) -> None:
        """From how far m is past 1/2 at each place, by weights of the probes: [rows, places]; it begins at 0.

        Where it is `censored`, 1/2 may lie beyond the last place: the estimate is then the last place, and
        its interval has no upper end.
        """
        values = past(jackknife.weights)
        whole = -2 * values[0, 0] if values[0, 0] else np.nan

        def over(values: Array) -> Array:
            return values / whole

        self._at, self._over, self._size, self._censored = at, over(values)[0], jackknife.size, censored
        self._influence = np.stack([jackknife.influence(one) for one in over(values).T])

        def curvature(place: int) -> float:
            return jackknife.curvature(self._influence[place], lambda weights: over(past(weights))[:, place])

        self._curvature = np.array([curvature(place) for place in range(len(at))])

    @property
    def interval(self) -> Interval:
        """Every place whose doubt is at least 2.5 %, on either side of the estimate."""
        value = self._value()
        if not np.isfinite(self._influence.sum() + value) or self._size < 2:
            return Interval.unknown(value)
        q = student.quantile(1 - TAIL, self._size - 1)
        low, high = self._first(-q), self._first(q)

        def doubt(bound: float) -> float:
            surely = self._surely_over(bound)
            return student.below(surely if bound < value else -surely, self._size - 1)

        return Interval(value, min(low, value), max(high, value), doubt)

    def _value(self) -> float:
        after = int(np.argmax(self._over >= 0))
        if not after:  # m begins at 0
            return float(self._at[-1]) if self._censored and np.isfinite(self._over).all() else nan
        (start, end), (left, right) = self._over[after - 1 : after + 1], self._at[after - 1 : after + 1]
        return float(left - (right - left) * start / (end - start))

    def _surely_over(self, place: float) -> float:
        """Largest t of m - 1/2 at the places up to one, and there."""
        place = min(max(place, self._at[0]), self._at[-1])
        # m counts at the places before it too: once it was surely over 1/2, it has tipped.
        points = np.append(self._at[self._at < place], place)
        share = np.stack([np.interp(points, self._at, row) for row in np.eye(len(self._at))], axis=1)
        squares = np.square(share @ self._influence).sum(1) * self._size / (self._size - 1)
        over = share @ self._over
        t = np.where(over == 0, 0.0, over / np.sqrt(np.maximum(squares, TINY)))
        return float(np.max(straightened(t, share @ self._curvature)))

    def _first(self, t: float) -> float:
        """First place by which m is over 1/2 with this t; when it never is the last, or beyond."""
        left, right = map(float, (self._at[0], self._at[-1]))
        if self._censored and self._surely_over(right) < t:
            return inf
        for _ in range(HALVINGS):
            middle = (left + right) / 2
            left, right = (left, middle) if self._surely_over(middle) >= t else (middle, right)
        return right
