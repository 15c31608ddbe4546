"""Made-up replies of which the truth is known, and how often intervals of what is counted in them are wrong.

No model is run. Two regimes answer the same probes, a bare model answers them as well, and probes of one
template answer alike as often as their intraclass correlation says.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from scipy.stats import multivariate_normal, norm
from truth_draws import Found

from coherence.properties.markers import LEAST_PROBES
from coherence.statistics.agreement import (
    chance_disagreements,
    kappa,
    paired_difference,
    recovery,
    relative_difference,
)
from coherence.statistics.intervals import Interval

TEMPLATES = {
    "in 4": (4,) * 4,
    "in 6": (4,) * 6,
    "in 8": (3,) * 8,
    "in 8 large": (8,) * 8,
    "single": (1,) * 24,
    "in 9 unequal": (8, 4, 4, 2, 2, 1, 1, 1, 1),
}
"""Names of the designs, and how many probes each template has."""
SAMPLES = {
    f"in {probes}, {samples} each": (samples,) * probes for probes, samples in product((8, 24), (1, 4, 16))
}
"""Probes with several replies each, which are to each other what probes of a template are."""
ALIKE = (0.0, 0.3, 0.6, 0.9)
RATES = ((0.5, 0.5), (0.9, 0.6), (0.9, 0.9), (0.96, 0.8), (0.2, 0.6))
"""Hit rates of the first regime, which is the prompt, and of the second."""
BARE = 0.05
AGREEING = 0.5  # correlation of what makes the two regimes hit
WORDS = 4  # further markers that a hit may hold, each as likely as not
MIN_AGREEMENT = 0.5
CHANCE = tuple(product((0.5, 0.8, 0.9, 0.95), (24, 64)))
"""Rates of regimes that are independent of each other, and numbers of single probes."""
DRAWS = 400
"""Replications that take two to three minutes of a core."""


@dataclass(frozen=True)
class Replies:
    """What is planted: rates of two regimes, how they go together, and how alike a template's probes are."""

    first: float
    second: float
    agreeing: float = AGREEING
    alike: float = 0.0

    def drawn(self, sizes: Sequence[int], random: np.random.Generator) -> np.ndarray:
        """Draw how many distinct markers each reply has: [probes, (first, second, bare)].

        A probe takes the answer of its template with a probability whose square is the correlation; its own
        answer has the same distribution.
        """
        clusters = np.repeat(np.arange(len(sizes)), sizes)
        copied = random.random(len(clusters)) < sqrt(self.alike)
        own, common = self._answers(len(clusters), random), self._answers(len(sizes), random)
        return np.where(copied[:, None], common[clusters], own)

    def _answers(self, n: int, random: np.random.Generator) -> np.ndarray:
        one, other, third = random.standard_normal((3, n))
        leaning = np.stack([one, self.agreeing * one + sqrt(1 - self.agreeing**2) * other, third], axis=1)
        hits = leaning < norm.ppf([self.first, self.second, BARE])
        return hits * (1 + random.binomial(WORDS, 0.5, hits.shape))

    @property
    def truths(self) -> dict[str, float]:
        """What is true of all probes, by the names of the estimates."""
        p, q = self.first, self.second
        both = multivariate_normal(cov=[[1, self.agreeing], [self.agreeing, 1]]).cdf(norm.ppf([p, q]))
        apart = p + q - 2 * float(both)
        return {
            "difference": q - p,
            "recovery": (q - BARE) / (p - BARE),
            "kappa": 1 - apart / (p * (1 - q) + q * (1 - p)),
            "relative count": q / p - 1,
        }


def estimates(counts: np.ndarray, clusters: Sequence[str]) -> Iterator[tuple[str, Interval]]:
    """Yield the estimates of a sample by name, as `markers` has them."""
    first, second, bare = (counts > 0).T
    yield "difference", paired_difference(first, second, clusters)
    yield "recovery", recovery(second, first, bare, clusters)
    yield "kappa", kappa(first, second, clusters)
    yield "relative count", relative_difference(counts[:, :2].astype(float), 0, 1, 0, clusters)


def covered(
    replications: int, seed: int, what: str = "rates", designs: Mapping[str, tuple[int, ...]] = TEMPLATES
) -> list[Found]:
    """Draw samples of every design anew, and gather their estimates."""
    told: dict[tuple[str, str, int], list[tuple[float, ...]]] = defaultdict(list)
    cells = [cell for cell in product(designs, ALIKE, RATES) if max(designs[cell[0]]) > 1 or not cell[1]]
    for number, (design, alike, rates) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        planted, sizes = Replies(*rates, alike=alike), designs[design]
        clusters = [f"t{index}" for index, size in enumerate(sizes) for _ in range(size)]
        truths, random = planted.truths, np.random.default_rng((seed, number))
        for _ in range(replications):
            for name, found in estimates(planted.drawn(sizes, random), clusters):
                key = f"{what} {rates[0]:g}/{rates[1]:g}: {name}, alike {alike:g}"
                told[key, design, sum(sizes)].append((found.value, found.low, found.high, truths[name]))
    return [Found(*key, np.array(ends)) for key, ends in sorted(told.items(), key=lambda item: item[0])]


def by_chance(replications: int, seed: int) -> list[dict[str, float]]:
    """Say how often regimes that are independent are judged by kappa, and how often they pass it."""
    lines = []
    for rate, n in track(CHANCE, "independent regimes", console=CONSOLE, transient=True):
        planted, random = Replies(rate, rate, agreeing=0.0), np.random.default_rng((seed, n, int(100 * rate)))
        drawn = (planted.drawn((1,) * n, random)[:, :2] > 0 for _ in range(replications))
        judged = [pair for pair in drawn if chance_disagreements(pair[:, 0], pair[:, 1]) >= LEAST_PROBES]
        probes = [f"q{index}" for index in range(n)]
        passed = sum(kappa(pair[:, 0], pair[:, 1], probes).low >= MIN_AGREEMENT for pair in judged)
        shares = {"judged": len(judged) / replications, "passed": passed / replications}
        lines.append({"rate": rate, "n": n, "replications": replications, **shares})
    return lines
