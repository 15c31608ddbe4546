"""Linear classifiers of residuals, each trained without the questions that it reads (cross-fitting)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.geometry import Array, Real

FOLDS = 8
PENALTY = 1e-3  # on |w|^2 / 2, of residuals whose mean square distance from their mean is 1
BINS = 10  # of probabilities, for the expected calibration error


@dataclass(frozen=True)
class LinearClassifier:
    """Logistic regression with a ridge penalty: p = 1 / (1 + exp(-(w . (h - centre) / scale + b))).

    It is what the field calls a linear probe (Alain and Bengio, arXiv 1610.01644). Both classes have the same
    weight, however many samples they have, so that 1/2 is the boundary between equally likely ones.
    """

    centre: Array
    scale: float
    weights: Array
    intercept: float

    @classmethod
    def fitted(cls, rows: Real, belongs: NDArray[np.bool_]) -> "LinearClassifier":
        """Fit it to residuals [samples, width], some of which belong to the class [samples]."""
        from scipy.optimize import minimize

        centre = rows.mean(0, dtype=np.float64)
        apart = rows - centre
        scale = float(np.sqrt(np.square(apart).sum(1).mean())) or 1.0
        inside, back = _within_span(apart / scale)
        signs = np.where(belongs, 1.0, -1.0)
        mass = np.where(belongs, 0.5 / belongs.sum(), 0.5 / (~belongs).sum())

        def loss(parameters: Array) -> tuple[float, Array]:
            weights, intercept = parameters[:-1], parameters[-1]
            margin = signs * (inside @ weights + intercept)
            pulled = -mass * signs * np.exp(-np.logaddexp(0, margin))
            slope = np.append(pulled @ inside + PENALTY * weights, pulled.sum())
            return float(mass @ np.logaddexp(0, -margin) + PENALTY / 2 * weights @ weights), slope

        nearest = minimize(loss, np.zeros(inside.shape[1] + 1), jac=True, method="L-BFGS-B").x
        return cls(centre, scale, nearest[:-1] @ back, float(nearest[-1]))

    def probability(self, rows: Real) -> Array:
        """Probability of belonging to the class, from residuals [..., width]: [...]."""
        margin = (rows - self.centre) @ self.weights / self.scale + self.intercept
        return np.asarray(np.exp(-np.logaddexp(0, -margin)))


def _within_span(rows: Array) -> tuple[Array, Array]:
    """Coordinates of rows [samples, width] in the space that they span, and its orthonormal basis.

    With a ridge penalty weights lie in that span. Where there are more samples than dimensions, rows stay.
    """
    if len(rows) >= rows.shape[1]:
        return rows, np.eye(rows.shape[1])
    squares, basis = np.linalg.eigh(rows @ rows.T)
    kept = squares > squares[-1] * np.finfo(np.float64).eps * len(rows)
    lengths = np.sqrt(squares[kept])
    return basis[:, kept] * lengths, (basis[:, kept] / lengths).T @ rows


class CrossFitted:
    """One classifier for each fold of clusters of questions, trained on those of the others.

    Clusters are dealt out in their order, so that nothing is drawn at random.
    """

    def __init__(self, own: Real, others: Real, clusters: Sequence[str]) -> None:
        """From residuals of the class, [probes, width], and of what is not of it, [others, probes, width]."""
        names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
        folds = min(FOLDS, len(names))
        self.fold = np.array([names[cluster] % folds for cluster in clusters])
        """Which of the classifiers has not seen a probe, [probes]."""
        self.classifiers = [self._without(fold, own, others) for fold in range(folds)]

    def probability(self, rows: Real) -> Array:
        """Probability of belonging to the class, by the classifier that has not seen the question.

        From residuals [..., probes, width]: [..., probes].
        """
        read = np.empty(rows.shape[:-1])
        for fold, classifier in enumerate(self.classifiers):
            kept = self.fold == fold
            read[..., kept] = classifier.probability(rows[..., kept, :])
        return read

    def _without(self, fold: int, own: Real, others: Real) -> LinearClassifier:
        kept = self.fold != fold
        positive, negative = own[kept], others[:, kept].reshape(-1, own.shape[-1])
        belongs = np.arange(len(positive) + len(negative)) < len(positive)
        return LinearClassifier.fitted(np.concatenate([positive, negative]), belongs)


@dataclass(frozen=True)
class Recognition:
    """Probabilities of a class: of what is of it, [sites, probes], and of others, [sites, others, probes]."""

    own: Array
    others: Array

    @classmethod
    def stacked(cls, sites: Sequence["Recognition"]) -> "Recognition":
        """Put those of single sites, [probes] and [others, probes], one behind the other."""
        return cls(np.stack([one.own for one in sites]), np.stack([one.others for one in sites]))

    @property
    def accuracy_by_site(self) -> Array:
        """Mean of what is right of a probe's own and of its others (balanced accuracy): [sites, probes]."""
        return np.asarray(((self.own > 0.5) + (self.others <= 0.5).mean(1)) / 2)

    @property
    def accuracy(self) -> Array:
        """Balanced accuracy of each probe, averaged over the sites: [probes]."""
        return np.asarray(self.accuracy_by_site.mean(0))

    @property
    def taken(self) -> tuple[float, list[float]]:
        """Share that is taken for the class, of what belongs to it and of each of the others."""
        return float((self.own > 0.5).mean()), (self.others > 0.5).mean((0, 2)).tolist()

    @property
    def brier(self) -> float:
        """Mean square error of the probabilities, both classes alike (Brier 1950): 1/4 where all are 1/2."""
        return float((np.square(1 - self.own).mean() + np.square(self.others).mean()) / 2)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over ten bins of equal width, both classes alike (Guo et al. 2017)."""
        told = np.concatenate([self.own.ravel(), self.others.ravel()])
        belongs = np.arange(len(told)) < self.own.size
        mass = np.where(belongs, 0.5 / self.own.size, 0.5 / self.others.size)
        bins = np.minimum((told * BINS).astype(int), BINS - 1)
        return float(np.abs(np.bincount(bins, mass * (belongs - told), BINS)).sum())
