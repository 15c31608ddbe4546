"""Linear classifiers of residuals, each trained without the questions that it reads (cross-fitting)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from coherence.statistics.geometry import Array, Real
from coherence.statistics.logistic_regression import LogisticRegression

FOLDS = 8
PENALTY = 2e-3  # of two classes: 1e-3 on |w|^2 / 2, where w is the difference of their weights
BINS = 10  # of probabilities, for the expected calibration error


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
        return self._read(rows, lambda classifier, unseen: classifier.probability(unseen, 1))

    def log_odds(self, rows: Real) -> Array:
        """Log-odds of the class, likewise: they go on where a probability is nearly 0 or 1."""
        return self._read(rows, lambda classifier, unseen: classifier.log_odds(unseen))

    def _read(self, rows: Real, reading: Callable[[LogisticRegression, Real], Array]) -> Array:
        read = np.empty(rows.shape[:-1])
        for fold, classifier in enumerate(self.classifiers):
            kept = self.fold == fold
            read[..., kept] = reading(classifier, rows[..., kept, :])
        return read

    def _without(self, fold: int, own: Real, others: Real) -> LogisticRegression:
        kept = self.fold != fold
        positive, negative = own[kept], others[:, kept].reshape(-1, own.shape[-1])
        belongs = np.repeat([1, 0], [len(positive), len(negative)])
        return LogisticRegression.fitted(np.concatenate([positive, negative]), belongs, PENALTY)


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
