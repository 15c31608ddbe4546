"""Principal components of a set of mean directions, and where other directions stand among them."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, inf, isfinite, nan

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import Pivot
from coherence.statistics.mean_gram import MeanGram

SHARE = 0.7  # of the variance; arXiv 2601.10387 tells the size of persona space by it


@dataclass(frozen=True, eq=False)
class Principal:
    """The components of a set at one site, from inner products alone.

    Eigenvectors u and values l of the set's Gram matrix give components sum u_i x_i / sqrt(l). What one probe
    adds to itself is in none of them: see `MeanGram`. All is made anew without each cluster, so that
    intervals hold what the components themselves vary by. See docs/verdicts.md#space.
    """

    gram: MeanGram  # of all conditions, at one site
    members: Array  # weights of the set, less its mean: [members, conditions]

    @cached_property
    def variances(self) -> Array:
        """Of each component, largest first: [1 + clusters, members]. What is noise alone lies around 0."""
        return self._eigen[0]

    def explained(self) -> Array:
        """Share of the variance that the first components explain, [members]."""
        return np.asarray(np.cumsum(self.variances[0]) / self.variances[0].sum())

    def components(self, share: float = SHARE) -> Interval:
        """How many components explain a share of the variance, read between whole numbers.

        Where the line through the shares that 0, 1, 2, ... of them explain reaches it: a whole number would
        jump, and have no interval. That many, rounded up, do. It is more than some number where so many
        explain less: that is tested, as the line bends at whole numbers, and a share does not.
        """
        numbers = np.array([_crossing(variances, share) for variances in self.variances])
        value, apart = float(numbers[0]), self.gram.jackknife.around(float(numbers[0]), numbers)
        if not apart.known:
            return Interval.unknown(value)

        def doubt(bound: float) -> float:
            return self._within(bound).doubt(share)

        return Interval(value, *self._ends(value, share), doubt, apart.interval.influence)

    def _within(self, number: float) -> Pivot:
        """Share of the variance that so many of the first components explain."""
        cumulated = np.pad(np.cumsum(self.variances, axis=1), ((0, 0), (1, 0)))
        reached = np.array([np.interp(number, np.arange(len(each)), each) for each in cumulated])
        shares = reached / np.where(cumulated[:, -1] > 0, cumulated[:, -1], nan)
        return self.gram.jackknife.around(float(shares[0]), shares)

    def _ends(self, value: float, share: float) -> tuple[float, float]:
        """Bounds whose shares can just be the one: none there is above all that the set has."""
        from scipy.optimize import brentq

        most = float(len(self.members))

        def beyond(number: float, side: int) -> float:
            return self._within(number).limits()[side] - share

        low = brentq(beyond, 0, value, (1,)) if beyond(0, 1) < 0 else 0.0
        high = brentq(beyond, value, most, (0,)) if beyond(most, 0) > 0 else inf
        return low, high

    def count(self, share: float = SHARE) -> int:
        """How many components explain the share: the number above, rounded up; 0 where there is none."""
        number = self.components(share).value
        return ceil(number - 1e-9) if isfinite(number) else 0

    def told(self) -> int:
        """How many components are told from noise: those whose variance is clearly above 0."""
        around = self.gram.jackknife.around
        lows = [around(float(each[0]), each).interval.low for each in self.variances.T]
        return next((place for place, low in enumerate(lows) if not low > 0), len(lows))

    def first(self, weights: Array) -> Interval:
        """Cosine of a direction, by weights [conditions], with the first component, whose sign is free."""
        along = self._along(weights[None], 1)[:, 0, 0]
        length = self._products(weights[None], weights[None])[:, 0, 0]
        along *= np.sign(along[0])
        known = np.sqrt(np.where(length > 0, length, nan))
        return self.gram.jackknife.ratio(along[:, None], known[:, None]).interval

    def coordinates(self, weights: Array, count: int) -> Array:
        """Where directions stand along the first components, [directions, count]."""
        return np.asarray(self._along(weights, count)[0].T)

    def contained(self, weights: Array, count: int) -> Interval:
        """Share of the squared length of directions [directions, conditions] within the first components.

        sum of their squared coordinates over the sum of their squared lengths. A squared coordinate is larger
        than the square of its truth by its variance, which is subtracted.
        """
        along = self._along(weights, count)
        lengths = np.trace(self._products(weights, weights), axis1=-2, axis2=-1)
        inside = np.square(along).sum((-2, -1)) - self._noise(weights, count)
        shares = inside / np.where(lengths > 0, lengths, nan)
        return self.gram.jackknife.around(float(shares[0]), shares).interval

    def angles(self, other: "Principal", count: int) -> Array:
        """Cosines of the principal angles with another set's first components, largest first, [count].

        Singular values of the products of both bases (Bjorck and Golub 1973); NaN where one has fewer.
        """
        along = self._along(other.basis(count), count)[0]
        if not np.isfinite(along).all():
            return np.full(count, nan)
        return np.minimum(np.linalg.svd(along, compute_uv=False), 1.0)

    def basis(self, count: int) -> Array:
        """Weights of conditions that make the first components of the whole sample, [count, conditions]."""
        values, vectors = self._eigen
        known = np.where(values[0, :count] > 0, values[0, :count], nan)
        return np.asarray(vectors[0, :, :count].T @ self.members / np.sqrt(known)[:, None])

    def _noise(self, weights: Array, count: int) -> float:
        """Variance of the coordinates, added up, on components that stay as they are."""
        along = self._products(self.basis(count), weights)
        return float((1 - 1 / self.gram.jackknife.size) * np.square(along[1:] - along[0]).sum())

    def _along(self, weights: Array, count: int) -> Array:
        """Coordinates of directions along the first components: [1 + clusters, count, directions]."""
        values, vectors = self._eigen
        mixed = np.swapaxes(vectors[..., :count], -1, -2) @ self._products(self.members, weights)
        known = np.where(values[:, :count] > 0, values[:, :count], nan)
        return np.asarray(mixed / np.sqrt(known)[..., None])

    def _products(self, left: Array, right: Array) -> Array:
        return np.asarray(self.gram.between(left, right)[0])

    @cached_property
    def _eigen(self) -> tuple[Array, Array]:
        gram = self._products(self.members, self.members)
        undefined = np.isnan(gram[:, 0, 0])
        values, vectors = np.linalg.eigh(np.nan_to_num(gram + np.swapaxes(gram, -1, -2)) / 2)
        values[undefined] = nan
        values, vectors = values[:, ::-1], vectors[..., ::-1]
        # A component's sign is free: each sample's is that of the whole one.
        same = np.sign((vectors * vectors[:1]).sum(-2, keepdims=True))
        return values, vectors * np.where(same < 0, -1.0, 1.0)


def random_subspaces(directions: Real, activations: Real, count: int, seed: int, draws: int = 200) -> float:
    """95 % quantile of the share of directions [n, width] within random subspaces of `count` dimensions.

    Each is spanned by random directions with the covariance of the activations [probes, width], as those of
    `random_null` are.
    """
    drawn, exact = np.random.default_rng(seed), np.asarray(directions, np.float64)
    centred = activations - activations.mean(0, dtype=np.float64)
    whole, shares = np.square(exact).sum(), np.empty(draws)
    for draw in range(draws):
        basis = np.linalg.qr((drawn.normal(size=(count, len(centred))) @ centred).T)[0]
        shares[draw] = np.square(exact @ basis).sum() / whole if whole else nan
    return float(np.quantile(shares, 0.95))


def _crossing(variances: Array, share: float) -> float:
    """Where the shares that the first 0, 1, 2, ... explain reach one, by a line between two of them."""
    if not variances.sum() > 0:
        return nan
    explained = np.append(0.0, np.cumsum(variances) / variances.sum())
    above = int(np.argmax(explained >= share))
    below = explained[above - 1]
    return float(above - 1 + (share - below) / (explained[above] - below))
