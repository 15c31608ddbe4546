"""Logistic regression with a ridge penalty: of which class a row is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from coherence.statistics.geometry import Array, Real

FOLDS = 5
PENALTIES = (1.0, 0.1, 0.01, 0.001)
"""On |W|^2 / 2, of rows whose mean square distance from their mean is 1; the strongest comes first."""

Labels = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """Multinomial, with a ridge penalty: log p(class) ~ w . (x - centre) / scale + b.

    On residuals it is what the field calls a linear probe (Alain and Bengio, arXiv 1610.01644). All classes
    have the same weight, however many rows they have. See docs/verdicts.md#recognised.
    """

    centre: Array
    scale: float
    weights: Array  # [width, classes]
    intercepts: Array
    penalty: float

    @classmethod
    def fitted(cls, rows: Real, labels: Labels, penalty: float) -> "LogisticRegression":
        """Fit it to rows [rows, width] of classes 0 to C - 1, [rows], each of which has a row."""
        from scipy.optimize import minimize

        centre = rows.mean(0, dtype=np.float64)
        apart = rows - centre
        scale = float(np.sqrt(np.square(apart).sum(1).mean())) or 1.0
        # With a ridge penalty the weights lie in the span of the rows, mostly fewer than dimensions.
        left, lengths, basis = np.linalg.svd(apart / scale, full_matrices=False)
        inside, classes = left * lengths, int(labels.max()) + 1
        members = labels[:, None] == np.arange(classes)
        mass = (members / members.sum(0)).sum(1) / classes

        def loss(parameters: Array) -> tuple[float, Array]:
            weights, intercepts = np.split(parameters.reshape(-1, classes), [-1])
            told = _log_softmax(inside @ weights + intercepts)
            pulled = mass[:, None] * (np.exp(told) - members)
            slope = np.vstack([inside.T @ pulled + penalty * weights, pulled.sum(0)])
            missed = -float(mass @ told[members])
            return missed + penalty / 2 * float(np.square(weights).sum()), slope.ravel()

        nearest = minimize(loss, np.zeros((inside.shape[1] + 1) * classes), jac=True, method="L-BFGS-B").x
        weights, intercepts = np.split(nearest.reshape(-1, classes), [-1])
        return cls(centre, scale, basis.T @ weights, intercepts[0], penalty)

    @classmethod
    def cross_validated(cls, rows: Array, labels: Labels, questions: Sequence[str]) -> "LogisticRegression":
        """Fit it with the penalty that tells rows of left-out questions best, by their mean log-probability.

        From rows [rows, width], their classes and questions, [rows] each; every class must be left in any
        fold. It is kept for the last few sets of rows: the controls of a claim learn from the same ones.
        """
        folds = np.unique(np.asarray(questions), return_inverse=True)[1] % FOLDS
        exact = np.ascontiguousarray(rows, np.float64)
        return _cross_validated(
            exact.tobytes(), exact.shape[1], tuple(labels.tolist()), tuple(folds.tolist())
        )

    def log_probabilities(self, rows: Real) -> Array:
        """Log-probability of each class, [..., classes], of rows [..., width]."""
        return _log_softmax((rows - self.centre) @ self.weights / self.scale + self.intercepts)

    def probability(self, rows: Real, label: int) -> Array:
        """Probability of one class, [...], of rows [..., width]."""
        return np.asarray(np.exp(self.log_probabilities(rows)[..., label]))

    def log_odds(self, rows: Real) -> Array:
        """Log-odds of the second of two classes, [...], of rows [..., width]."""
        first, second = np.moveaxis(self.log_probabilities(rows), -1, 0)
        return np.asarray(second - first)

    def told(self, rows: Real) -> Labels:
        """Tell the likeliest class of rows [..., width]: [...]."""
        return np.asarray(self.log_probabilities(rows).argmax(-1))


@lru_cache(maxsize=16)
def _cross_validated(
    data: bytes, width: int, classes: tuple[int, ...], dealt: tuple[int, ...]
) -> LogisticRegression:
    rows, labels, folds = np.frombuffer(data).reshape(-1, width), np.array(classes), np.array(dealt)

    def missed(penalty: float) -> float:
        losses = []
        for fold in np.unique(folds):
            inside = folds != fold
            known = LogisticRegression.fitted(rows[inside], labels[inside], penalty).log_probabilities(
                rows[~inside]
            )
            losses.append(-known[np.arange(len(known)), labels[~inside]].mean())
        return float(np.mean(losses))

    return LogisticRegression.fitted(rows, labels, min(PENALTIES, key=missed))


def _log_softmax(scores: Array) -> Array:
    apart = scores - scores.max(-1, keepdims=True)
    return np.asarray(apart - np.log(np.exp(apart).sum(-1, keepdims=True)))
