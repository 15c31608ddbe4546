"""What any persona does to the residual stream, and what of a displacement is not that.

Whatever persona is put into a model, it moves along directions that all of them share, one for each regime.
A displacement's specific part is what lies outside of them; two are compared by inner products of their
specific parts. The shared directions are means over control personas, and so hold a share of the controls'
own parts as well. Were the same controls taken away on both sides, that share would agree with itself: with K
controls whose parts have the cosine c over the two regimes, even a displacement without any part of its own
would show about c / sqrt(K + 1). Here the controls of the two sides are always different ones
(docs/verdicts.md#directions).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.statistics.geometry import Array, Real

SPANS = 1e-6  # of the largest, as a squared singular value of unit vectors: what is less is rounding


def basis(directions: Real) -> Array:
    """Orthonormal vectors [..., r, width] that span directions [..., r, width]; zeros for those too many.

    A direction that is zero, or lies along another, adds none. See docs/verdicts.md#directions.
    """
    # By the small Gram matrix: QR would make up a vector for a direction that is zero or there twice.
    exact = np.asarray(directions, dtype=np.float64)
    length = np.linalg.norm(exact, axis=-1, keepdims=True)
    units = exact / np.where(length > 0, length, 1.0)
    squares, mixes = np.linalg.eigh(units @ np.swapaxes(units, -1, -2))
    kept = squares > SPANS * squares[..., -1:]
    scale = np.where(kept, 1 / np.sqrt(np.where(kept, squares, 1.0)), 0.0)
    return np.asarray(np.swapaxes(mixes * scale[..., None, :], -1, -2) @ units)


def outside(displacements: Real, spanned: Array) -> Real:
    """Keep what of displacements x [..., probes, width] lies outside orthonormal vectors u [..., r, width].

    x - u u'x. A projection needs no amount: whoever moves more than others, or less, loses what it has of u.
    See docs/verdicts.md#directions.
    """
    return np.asarray(displacements - (displacements @ np.swapaxes(spanned, -1, -2)) @ spanned)


def halvings(count: int) -> list[tuple[list[int], list[int]]]:
    """Ways to part `count` controls in two halves, both ways round, each control equally often.

    The controls stand in a ring; a half is a run of neighbours, and the other half the rest. Lists of rows,
    at most 2 x `count` pairs of them. See docs/verdicts.md#directions.
    """
    # Neighbours on a ring, and not every way to part them, whose number doubles with each control. Both ways
    # round, as products would else depend on which side loses which half.
    ring = frozenset(range(count))
    runs = [frozenset((start + step) % count for step in range(count // 2)) for start in range(count)]
    pairs = dict.fromkeys(pair for run in runs for pair in ((run, ring - run), (ring - run, run)))
    return [(sorted(one), sorted(other)) for one, other in pairs]


@dataclass(frozen=True)
class Generic:
    """Mean displacements of control personas over the probes, [units, regimes, depths, width].

    A unit is one control persona, or the mean of several that are kin. They are taken not to be nearly the
    judged one, whose own part they would take out of it. See docs/verdicts.md#directions.
    """

    units: Array

    def without(self, unit: int) -> "Generic":
        """Leave one unit out, by its row: a persona that is compared is no control."""
        return Generic(np.delete(self.units, unit, axis=0))

    def at(self, depths: Sequence[int]) -> "Generic":
        """Return the means at these depths alone, for displacements that are read there."""
        return Generic(self.units[:, :, depths])

    def spanned(self) -> Array:
        """Orthonormal vectors along the mean of all units in each regime: [depths, regimes, width]."""
        return self._spanned(range(len(self.units)))

    def products(self, first: Real, second: Real) -> Array:
        """Inner products of the specific parts of two displacements [depths, probes, width], by probe.

        (x - u u'x) . (y - v v'y), [depths, probes, probes]: the first without what some control personas
        share, the second without what others do, averaged over ways to part them. Below two units there are
        none.
        """
        one, other = self._halves
        # Multiplied out, as a few vectors are cheap, and every probe projected anew for every way is not:
        # (x - u u'x)(y - v v'y), the halves [depths, ways * regimes, width] side by side.
        along_one, along_other = _along(first, one), _along(first, other)
        second_one, second_other = _along(second, one), _along(second, other)
        crossed = (one @ np.swapaxes(other, -1, -2)) @ second_other
        taken = _summed(along_one, second_one - crossed) + _summed(along_other, second_other)
        plain = np.asarray(first @ np.swapaxes(second, -1, -2), dtype=np.float64)
        return np.asarray(plain - taken / one.shape[1])

    @cached_property
    def _halves(self) -> tuple[Array, Array]:
        """Orthonormal vectors along either half, for each way to part: [depths, ways, regimes, width]."""
        # Disjoint halves: a mean over K controls holds a K-th of each one's own part, which would agree with
        # itself if it were taken out of both sides.
        ways = halvings(len(self.units))
        one, other = (np.stack([self._spanned(way[side]) for way in ways], axis=1) for side in (0, 1))
        return one, other

    def _spanned(self, units: Iterable[int]) -> Array:
        return basis(np.swapaxes(self.units[list(units)].mean(0), 0, 1))


def _along(displacements: Real, vectors: Array) -> Array:
    """Parts of displacements [depths, probes, width] along vectors: [depths, ways, r, probes]."""
    return np.asarray(vectors @ np.swapaxes(displacements, -1, -2)[:, None])


def _summed(first: Array, second: Array) -> Array:
    """Products over ways and vectors: twice [depths, ways, r, probes] give [depths, probes, probes]."""
    left, right = (each.reshape(len(each), -1, each.shape[-1]) for each in (first, second))
    return np.asarray(np.swapaxes(left, -1, -2) @ right)
