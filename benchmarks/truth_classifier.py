"""Made-up residuals, and how often intervals of a classifier's accuracy do not hold the truth.

No model is run. Personas move the residuals of a question along directions of their own, by their prompts
and half as far in a regime; questions, and templates of them, have residuals of their own. The truth of a
sample is what the very classifiers trained on it come to on new questions, and the mean of that over all
samples is what any training comes to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from truth_draws import Found
from truth_effects import DESIGNS, SIZES

from coherence.statistics.agreement import mean_share, paired_difference
from coherence.statistics.intervals import Interval
from coherence.statistics.linear_classifier import CrossFitted, Recognition
from coherence.statistics.logistic_regression import LogisticRegression

WIDTH, OTHERS = 32, 4
NEW = 400  # questions, of which no classifier has seen one
BY_PROMPT, IN_REGIME = (
    3.0,
    1.5,
)  # how far personas move, in units of the spread of a question along any direction
FAR = 2.5  # how much further questions are spread than what a condition adds to one at random

Sides = tuple[np.ndarray, np.ndarray]
"""Residuals by prompt and in the regime, of the persona and the others: [1 + others, probes, width] each."""


@dataclass(frozen=True)
class Space:
    """Directions of the persona and of the others, [1 + others, width]."""

    directions: np.ndarray

    @classmethod
    def drawn(cls, random: np.random.Generator) -> "Space":
        """Draw unit vectors at right angles; the last of the others is the bare model, and has none."""
        directions = np.linalg.qr(random.standard_normal((WIDTH, OTHERS)))[0].T
        return cls(np.vstack([directions, np.zeros(WIDTH)]))

    def sides(self, templates: int, each: int, random: np.random.Generator) -> Sides:
        """Draw questions. Half of what varies from one to the next is the template's own."""
        common, own = (random.standard_normal((templates, size, WIDTH)) for size in (1, each))
        questions = sqrt(0.5) * (common + own).reshape(-1, WIDTH)
        by_prompt, in_regime = (self._moved(questions, far, random) for far in (BY_PROMPT, IN_REGIME))
        return by_prompt, in_regime

    def _moved(self, questions: np.ndarray, far: float, random: np.random.Generator) -> np.ndarray:
        noise = random.standard_normal((OTHERS + 1, *questions.shape)) / FAR
        return questions + far * self.directions[:, None] + noise


def estimates(fitted: CrossFitted, sides: Sides, clusters: list[str]) -> Iterator[tuple[str, Interval]]:
    """Yield the estimates of a sample by name, as `classifier` has them."""
    prompted, tried = (_read(fitted, side) for side in sides)
    yield "accuracy by prompt", mean_share(prompted, clusters)
    yield "accuracy in the regime", mean_share(tried, clusters)
    yield "gap", paired_difference(tried, prompted, clusters)


def truths(fitted: CrossFitted, sides: Sides) -> dict[str, float]:
    """Say what the classifiers of a sample come to on new questions, by the names of the estimates."""
    shares = np.bincount(fitted.fold) / len(fitted.fold)
    by_prompt, in_regime = (
        float(shares @ [_accuracy(one, side).mean() for one in fitted.classifiers]) for side in sides
    )
    return {
        "accuracy by prompt": by_prompt,
        "accuracy in the regime": in_regime,
        "gap": by_prompt - in_regime,
    }


def covered(replications: int, seed: int) -> list[Found]:
    """Draw samples of every design anew, and gather their estimates."""
    found = []
    cells = [*product(DESIGNS, SIZES)]
    for number, (design, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        each, random = DESIGNS[design], np.random.default_rng((seed, number))
        told: dict[str, list[tuple[float, ...]]] = {}
        for _ in range(replications):
            space = Space.drawn(random)
            sides, new = space.sides(n // each, each, random), space.sides(NEW, 1, random)
            clusters = [f"t{template}" for template in range(n // each) for _ in range(each)]
            fitted = CrossFitted(sides[0][0], sides[0][1:], clusters)
            truth = truths(fitted, new)
            for name, one in estimates(fitted, sides, clusters):
                told.setdefault(name, []).append((one.value, one.low, one.high, truth[name]))
        for name, listed in told.items():
            ends = np.array(listed)
            found.append(Found(f"classifier: {name}, these", design, n, ends))
            ends = ends.copy()
            ends[:, 3] = ends[:, 3].mean()
            found.append(Found(f"classifier: {name}, any training", design, n, ends))
    return sorted(found, key=lambda one: (one.estimate, one.probes, one.n))


def _read(fitted: CrossFitted, side: np.ndarray) -> np.ndarray:
    read = fitted.probability(side)
    return Recognition(read[None, 0], read[None, 1:]).accuracy


def _accuracy(classifier: LogisticRegression, side: np.ndarray) -> np.ndarray:
    read = classifier.probability(side, 1)
    return Recognition(read[None, 0], read[None, 1:]).accuracy
