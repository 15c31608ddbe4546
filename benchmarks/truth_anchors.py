"""Made-up directions of a persona and of two anchors, and how often intervals do not hold the truth.

No model is run. In two regimes the persona moves every question its own way, and so far along the way of an
anchor; every question adds something of its own to what each of them does, half of it the template's.
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

from coherence.statistics.alignment import Alignment, largest_change, largest_strength
from coherence.statistics.intervals import Interval

WIDTH = 32
SPREAD = 0.25  # of a question along any direction, in units of how far an anchor goes
INVENTED, NEAR, FAR = range(3)


@dataclass(frozen=True)
class Inversion:
    """What is planted: how far the persona goes along the nearer anchor, by regime; not along the other."""

    ratios: tuple[float, float] = (0.6, 1.2)

    def drawn(self, templates: int, each: int, random: np.random.Generator) -> list[np.ndarray]:
        """Draw displacements of the persona and both anchors in both regimes: [3, probes, width] each."""
        axes = np.linalg.qr(random.standard_normal((WIDTH, 3)))[0].T
        return [
            self._ways(axes, ratio)[:, None] + self._questions(templates, each, random)
            for ratio in self.ratios
        ]

    @property
    def truths(self) -> dict[str, float]:
        """Say what is true of all questions, by the names of the estimates."""
        first, second = self.ratios
        length = sqrt(1 + second**2)
        own = (1 + first * second) / (sqrt(1 + first**2) * length)
        return {
            "ratio": first,
            "largest ratio": max(self.ratios),
            "lead": own - second / length,
            "ratios apart": abs(second - first),
        }

    def _ways(self, axes: np.ndarray, ratio: float) -> np.ndarray:
        return np.stack([axes[INVENTED] + ratio * axes[NEAR], axes[NEAR], axes[FAR]])

    def _questions(self, templates: int, each: int, random: np.random.Generator) -> np.ndarray:
        common, own = (random.standard_normal((3, templates, size, WIDTH)) for size in (1, each))
        return SPREAD * sqrt(0.5) * (common + own).reshape(3, -1, WIDTH)


def estimates(sides: list[np.ndarray], clusters: list[str]) -> Iterator[tuple[str, Interval]]:
    """Yield the estimates of a sample by name, as `anchors` has them of specific displacements."""

    def compared(first: np.ndarray, second: np.ndarray) -> Alignment:
        return Alignment.of(first[None], second[None], clusters)

    (own, *anchors), (second, *seconds) = sides
    along = [
        (compared(one, own), compared(other, second)) for one, other in zip(anchors, seconds, strict=True)
    ]
    yield "ratio", along[0][0].strength()
    yield "largest ratio", largest_strength([one for pair in along for one in pair])
    yield "lead", compared(second, own).lead([compared(second, one) for one in (*anchors, *seconds)])
    yield "ratios apart", largest_change(along)


def covered(replications: int, seed: int) -> list[Found]:
    """Draw samples of every design anew, and gather their estimates."""
    gathered, planted = [], Inversion()
    cells = [*product(DESIGNS, SIZES)]
    for number, (design, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        each, random = DESIGNS[design], np.random.default_rng((seed, number))
        clusters = [f"t{template}" for template in range(n // each) for _ in range(each)]
        ends: dict[str, list[tuple[float, ...]]] = {}
        for _ in range(replications):
            for name, one in estimates(planted.drawn(n // each, each, random), clusters):
                ends.setdefault(name, []).append((one.value, one.low, one.high, planted.truths[name]))
        gathered += [Found(f"anchors: {name}", design, n, np.array(listed)) for name, listed in ends.items()]
    return sorted(gathered, key=lambda one: (one.estimate, one.probes, one.n))
