"""Claims judged on samples that are drawn anew, again and again, and how often they are wrong."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from math import sqrt

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from truth_claims import Population, judged, measure, named, plain

from coherence.plan import Scene

SIZES = (8, 16, 32, 64)
DESIGNS = {"single": False, "templates": True}


@dataclass(frozen=True)
class Row:
    """One estimate at one number of probes, over all replications. Shares are of those that gave a value.

    `too_low` are intervals that end below the truth: false alarms where at least the truth is asked for.
    """

    estimate: str
    probes: str
    n: int
    replications: int
    truth: float
    mean: float
    bias: float
    bias_error: float
    covered: float
    covered_error: float
    too_low: float
    too_high: float
    endless: float
    width: float


@dataclass(frozen=True)
class Found:
    """Estimates of one name at one number of probes: [replications, (value, low, high, truth)]."""

    estimate: str
    probes: str
    n: int
    ends: np.ndarray

    @property
    def row(self) -> Row:
        """Sum it up."""
        value, low, high, truth = self.ends[np.isfinite(self.ends[:, 0])].T
        covered = float(np.mean((low <= truth) & (truth <= high)))
        bounded = np.isfinite(low) & np.isfinite(high)
        return Row(
            estimate=self.estimate,
            probes=self.probes,
            n=self.n,
            replications=len(value),
            truth=round(float(truth.mean()), 4),
            mean=round(float(value.mean()), 4),
            bias=round(float((value - truth).mean()), 4),
            bias_error=round(float((value - truth).std() / sqrt(len(value))), 4),
            covered=round(covered, 4),
            covered_error=round(sqrt(covered * (1 - covered) / len(value)), 4),
            too_low=round(float(np.mean(high < truth)), 4),
            too_high=round(float(np.mean(low > truth)), 4),
            endless=round(float(1 - bounded.mean()), 4),
            width=round(float(np.median((high - low)[bounded])) if bounded.any() else np.inf, 4),
        )

    def power(self, gap: float) -> float:
        """Share of draws that refuse a bound this far above the truth, or below it; the mean of both."""
        _, low, high, truth = self.ends[np.isfinite(self.ends[:, 0])].T
        return float((np.mean(high < truth + gap) + np.mean(low > truth - gap)) / 2)


def replicated(population: Population, replications: int, seed: int) -> list[Found]:
    """Judge every claim on samples that are drawn anew, and gather its estimates.

    Ctrl-C ends the drawing; what was judged until then is told.
    """
    told: dict[tuple[str, str, int], list[tuple[float, ...]]] = defaultdict(list)
    with suppress(KeyboardInterrupt):
        for turn in track(range(replications), "drawing", console=CONSOLE, transient=True):
            for (number, (probes, clustered)), n in product(enumerate(DESIGNS.items()), SIZES):
                scene = population.drawn(n, clustered, np.random.default_rng((seed, turn, number, n)))
                for name, ends in _judged(population, scene, turn):
                    told[name, probes, n].append(ends)
    return [Found(*key, np.array(ends)) for key, ends in sorted(told.items(), key=lambda item: item[0][1:])]


def _judged(population: Population, scene: Scene, seed: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    for case in population.cases(scene):
        for estimate in (*judged(case, population.record, seed), *plain(case, population.record)):
            truth = population.truths.get(named(case, estimate.name))
            if truth is not None:
                ends = (estimate.value, estimate.low, estimate.high, truth)
                yield named(case, measure(estimate)), ends
