"""What linear classifiers read, and what those do that were trained without one more cluster of questions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.jackknife import Jackknife
from coherence.statistics.linear_classifier import FOLDS, PENALTY

GROUPS = 32  # of clusters: there are as many classifiers as folds times groups
STEPS, NEAR = 40, 1e-9  # of Newton's method; and a gain of the loss that is none
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Retrained:
    """Log-odds that classifiers of two classes read of questions that they have not seen, at one site.

    They are those of the sample, and of the sample without each of its clusters: of more than 32, without
    each of 32 groups of them. A jackknife of these holds what another training would change.
    """

    jackknife: Jackknife
    log_odds: Array  # [1 + groups, conditions, probes]

    @classmethod
    def of(cls, more: Real, less: Real, read: Real, clusters: Sequence[str]) -> "Retrained":
        """From residuals of both classes, [probes, width], and what is read, [conditions, probes, width].

        Clusters are dealt out in their order, as `CrossFitted` does.
        """
        places = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
        place = np.array([places[cluster] for cluster in clusters])
        fold, group = place % min(FOLDS, len(places)), place % GROUPS
        names = _named(list(places))
        # In the order of the jackknife's weights, which is that of the names.
        ordered = np.argsort(names, kind="stable")[:, None]
        inside, odds = _Inside.of(more, less, read), np.empty((1 + len(names), *read.shape[:-1]))
        for number in range(int(fold.max()) + 1):
            kept = fold != number
            # What is left out is in no training of its own fold, so that this is trained a few times anew.
            odds[..., ~kept] = inside.trained(np.vstack([kept, kept & (group != ordered)]), ~kept)
        return cls(Jackknife([names[one] for one in group]), odds)

    @property
    def means(self) -> Array:
        """Over the probes, of the sample and without each group of them: [1 + groups, conditions]."""
        return np.asarray(np.einsum("gp,gcp->gc", self.jackknife.weights, self.log_odds))


def _named(clusters: Sequence[str]) -> list[str]:
    return [", ".join(clusters[group::GROUPS]) for group in range(min(GROUPS, len(clusters)))]


@dataclass(frozen=True, eq=False)
class _Inside:
    """Rows in the span of what is learnt from, as few numbers each as that has dimensions."""

    more: Array  # [probes, rank]
    less: Array
    read: Array  # [conditions, probes, rank]

    @classmethod
    def of(cls, more: Real, less: Real, read: Real) -> "_Inside":
        rows = np.concatenate([more, less]).astype(np.float64)
        centre = rows.mean(0)
        basis = np.linalg.svd(rows - centre, full_matrices=False)[2]
        return cls(*((each - centre) @ basis.T for each in (more, less, read)))

    def trained(self, masks: Array, unseen: Array) -> Array:
        """Train on the probes of each mask, [trainings, probes], and read those that are `unseen`.

        [trainings, conditions, unseen]; NaN where a mask has no probe.
        """
        rows = np.concatenate([self.more, self.less])
        mass = np.tile(masks, 2) / np.maximum(2 * masks.sum(1, keepdims=True), 1)
        centre = mass @ rows
        apart = rows - centre[:, None]
        scale = np.sqrt((mass * np.square(apart).sum(-1)).sum(1))
        scale[scale == 0] = 1
        weights = _newton(apart / scale[:, None, None], mass, np.repeat([1.0, 0.0], len(self.more)))
        away = (self.read[:, unseen] - centre[:, None, None]) / scale[:, None, None, None]
        found = np.einsum("tcpr,tr->tcp", away, weights[:, :-1]) + weights[:, -1, None, None]
        return np.where((masks.sum(1) > 0)[:, None, None], found, np.nan)


def _newton(rows: Array, mass: Array, labels: Array) -> Array:
    """Weights and intercept of logistic regressions with a ridge penalty, [trainings, rank + 1].

    From rows [trainings, rows, rank], their mass [trainings, rows] and which are of the class, [rows].
    """
    whole = np.concatenate([rows, np.ones_like(rows[..., :1])], axis=-1)
    ridge = np.append(np.full(rows.shape[-1], PENALTY / 2), 0.0)
    sign = 2 * labels - 1

    def loss(weights: Array) -> Array:
        missed = np.logaddexp(0, -sign * _applied(whole, weights))
        return np.asarray((mass * missed).sum(1) + (ridge * np.square(weights)).sum(1) / 2)

    weights = np.zeros((len(rows), whole.shape[-1]))
    reached = loss(weights)
    for _ in range(STEPS):
        told = 1 / (1 + np.exp(-_applied(whole, weights)))
        slope = _applied(whole.swapaxes(1, 2), mass * (told - labels)) + ridge * weights
        bend = (whole * (mass * told * (1 - told))[..., None]).swapaxes(1, 2) @ whole
        # The intercept of rows that are all told for certain has no bend of its own.
        bend += np.diag(ridge + TINY)
        step = np.linalg.solve(bend, slope[..., None])[..., 0]
        size = np.ones(len(rows))
        while (worse := loss(weights - size[:, None] * step) > reached).any() and size.min() > TINY:
            size[worse] /= 2
        weights = weights - size[:, None] * step
        before, reached = reached, loss(weights)
        if (before - reached).max() < NEAR:
            break
    return weights


def _applied(rows: Array, weights: Array) -> Array:
    return np.asarray((rows @ weights[..., None])[..., 0])
