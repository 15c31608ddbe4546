"""Directions: how alike they are, how reliable, and what chance alone would give.

Leading axes written `...` are sites; every function works on all of them at once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Real = NDArray[np.floating[Any]]

STILL = 1e-5  # a displacement below this share of the activation's norm is rounding, not movement


def cosine(a: Real, b: Real) -> Array:
    """Cosine a . b / (|a| |b|) along the last axis, broadcasting; NaN, and never 0, where a vector is zero.

    With the noise of both, unlike an `Alignment`. See docs/verdicts.md#directions.
    """
    return _ratio((a * b).sum(-1, dtype=np.float64), _norm(a) * _norm(b))


def _norm(vectors: Real) -> Array:
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(-1)))


def _ratio(above: Array, below: Array) -> Array:
    safe = np.where(below > 0, below, np.nan)
    return np.clip(above / safe, -1.0, 1.0)


def split_half_reliability(
    per_probe: Real, seed: int, splits: int = 200, clusters: Sequence[str] | None = None
) -> Array:
    """Reliability, 0 to 1, of the mean over probes: per_probe [..., probes, width] gives [...].

    Cosine r of the means of two random halves, averaged over the splits and stepped up to the full sample by
    2 r / (1 + r) (Spearman-Brown), which supposes that both halves are equally good. Clusters of probes stay
    together. NaN where there is no direction at all. See docs/verdicts.md#directions.
    """
    members = np.unique(clusters or np.arange(per_probe.shape[-2]), return_inverse=True)[1]
    shuffled = np.random.default_rng(seed).permuted(
        np.tile(np.arange(members.max() + 1), (splits, 1)), axis=1
    )
    first = (shuffled < (members.max() + 1) // 2)[:, members]
    one, two = (half / half.sum(1, keepdims=True) for half in (first, ~first))
    gram = np.asarray(per_probe @ np.swapaxes(per_probe, -1, -2), dtype=np.float64)
    # Rounding can leave less than nothing of what does not move.
    below = np.sqrt(np.maximum(form(one, gram, one) * form(two, gram, two), 0.0))
    half = np.clip(_ratio(form(one, gram, two), below).mean(-1), 0.0, 1.0)
    return np.asarray(2 * half / (1 + half))


def ceiling(first: Real, second: Real, clusters: Sequence[str], seed: int) -> Array:
    """Highest cosine that two directions of this reliability can show, sqrt(r_A r_B): [...].

    Both are [..., probes, width]. Each side is split in the same halves. See docs/verdicts.md#directions.
    """
    one, two = (split_half_reliability(side, seed, clusters=clusters) for side in (first, second))
    return np.asarray(np.sqrt(one * two))


def form(left: Array, gram: Array, right: Array) -> Array:
    """Inner product of two weighted means, l G r', by rows: [r, n], [..., n, n], [r, n] give [..., r].

    G holds the inner products of every two vectors, so that no mean is made. See docs/verdicts.md#directions.
    """
    return np.asarray(((left @ gram) * right).sum(-1))


def random_null(activations: Real, direction: Real, seed: int, draws: int = 1000) -> Array:
    """95 % quantile of |cos| between a direction [..., width] and random ones, [...].

    The random directions are normal with the covariance of the activations [..., n, width]: in a residual
    stream a few dimensions carry most of the variance, and isotropic directions would be too easy to beat.
    See docs/verdicts.md#directions.
    """
    # A normal mix of the centred activations has their covariance, which itself would be [width, width].
    centred = activations - activations.mean(-2, keepdims=True, dtype=np.float64)
    mixes = np.random.default_rng(seed).normal(size=(draws, activations.shape[-2]))
    along = (centred @ np.asarray(direction, dtype=np.float64)[..., None])[..., 0] @ mixes.T
    length = np.sqrt(form(mixes, centred @ np.swapaxes(centred, -1, -2), mixes))
    cosines = np.abs(_ratio(along, length * _norm(direction)[..., None]))
    return np.asarray(np.quantile(cosines, 0.95, axis=-1))


def still(displaced: Real, activations: Real) -> NDArray[np.bool_]:
    """Whether the mean displacement [..., probes, width] is rounding beside the activations: [...].

    |mean d| <= 1e-5 of the mean |h|, from activations [..., probes, width]. See docs/verdicts.md#directions.
    """
    moved = np.linalg.norm(displaced.mean(-2, dtype=np.float64), axis=-1)
    return np.asarray(moved <= STILL * np.linalg.norm(activations, axis=-1).mean(-1))


def massive_share(direction: Real, top: int = 3) -> Array:
    """Share of a direction's energy [..., width] in its `top` largest dimensions, [...]; NaN for zero.

    sum of the `top` largest squares / sum of all squares. See docs/verdicts.md#collinearity.
    """
    energy = np.square(direction, dtype=np.float64)
    largest = np.partition(energy, -top, axis=-1)[..., -top:]
    return _ratio(largest.sum(-1), energy.sum(-1))


def cosine_without_massive(a: Real, b: Real, top: int = 3) -> Array:
    """Cosine [...] of two directions [..., width] without the `top` largest dimensions of either.

    A few massive dimensions can make a cosine by themselves. See docs/verdicts.md#collinearity.
    """
    kept = _small(a, top) & _small(b, top)
    return cosine(np.where(kept, a, 0.0), np.where(kept, b, 0.0))


def _small(direction: Real, top: int) -> NDArray[np.bool_]:
    rank = np.argsort(np.argsort(np.abs(direction), axis=-1), axis=-1)
    return np.asarray(rank < direction.shape[-1] - top)
