"""Made-up texts with more and less of what is read, and how often the interval of a move misses it.

No model is run. Questions, and templates of them, have residuals of their own; two prompts move them apart
along one direction, and a persona along that and along one of its own. The truth is what classifiers trained
on as many questions come to on new ones, on average over all samples.
"""

from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from truth_draws import Found
from truth_effects import DESIGNS, SIZES

from coherence.statistics.intervals import Interval
from coherence.statistics.linear_classifier import CrossFitted
from coherence.statistics.retrained import Retrained

WIDTH = 32
NEW = 400  # questions, of which no classifier has seen one
APART = 1.5  # how far both prompts lie apart, in units of the spread of a question along any direction
MOVED, ASIDE = 0.4, 1.0  # how far the persona goes along that, and along a direction of its own
FAR = 2.5  # how much further questions are spread than what a condition adds to one at random
MORE, LESS, BARE, OWN = range(4)


@dataclass(frozen=True)
class Reader:
    """How far `more`, `less`, nothing and the persona move a question: [4, width]."""

    moves: np.ndarray

    @classmethod
    def drawn(cls, random: np.random.Generator) -> "Reader":
        """Draw two directions at right angles."""
        along, aside = np.linalg.qr(random.standard_normal((WIDTH, 2)))[0].T
        ends = [0.5 * APART * along, -0.5 * APART * along, np.zeros(WIDTH)]
        return cls(np.stack([*ends, MOVED * APART * along + ASIDE * aside]))

    def read(self, templates: int, each: int, random: np.random.Generator) -> np.ndarray:
        """Draw questions, [4, probes, width]. Half of what varies between them is the template's own."""
        common, own = (random.standard_normal((templates, size, WIDTH)) for size in (1, each))
        questions = sqrt(0.5) * (common + own).reshape(-1, WIDTH)
        noise = random.standard_normal((len(self.moves), *questions.shape)) / FAR
        return np.asarray(questions + self.moves[:, None] + noise)


def fitted(residuals: np.ndarray, clusters: list[str]) -> CrossFitted:
    """Train on both prompts."""
    return CrossFitted(residuals[MORE], residuals[[LESS]], clusters)


def estimate(residuals: np.ndarray, clusters: list[str]) -> Interval:
    """Estimate the move as `relative` does, at one site."""
    trained = Retrained.of(residuals[MORE], residuals[LESS], residuals, clusters)
    more, less, bare, own = trained.means.T[..., None]
    return trained.jackknife.ratio(own - bare, more - less).interval


def truth(classifier: CrossFitted, new: np.ndarray) -> float:
    """Say what the classifiers of a sample come to on new questions."""
    shares = np.bincount(classifier.fold) / len(classifier.fold)
    each = np.stack([one.log_odds(new).mean(-1) for one in classifier.classifiers])
    more, less, bare, own = shares @ each
    return float((own - bare) / (more - less))


def covered(replications: int, seed: int) -> list[Found]:
    """Draw samples of every design anew, and gather their estimates."""
    found = []
    cells = [*product(DESIGNS, SIZES)]
    for number, (design, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        each, random = DESIGNS[design], np.random.default_rng((seed, number))
        clusters = [f"t{template}" for template in range(n // each) for _ in range(each)]
        told = []
        for _ in range(replications):
            reader = Reader.drawn(random)
            residuals, new = reader.read(n // each, each, random), reader.read(NEW, 1, random)
            one = estimate(residuals, clusters)
            told.append((one.value, one.low, one.high, truth(fitted(residuals, clusters), new)))
        ends = np.array(told)
        ends[:, 3] = ends[:, 3].mean()
        found.append(Found("relative: move", design, n, ends))
    return sorted(found, key=lambda one: (one.estimate, one.probes, one.n))
