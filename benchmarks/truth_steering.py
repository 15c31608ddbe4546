"""Made-up vectors and adapters: how often intervals do not hold the truth of what they do.

No model is run. For `conflict` a vector goes evenly from one prompt to the other; for `gateway` it acts at
five sites, two of which are as good as each other; for `convergence` two adapters share a direction, of which
two others have less, and half of one effect is left without it; for `constant_shift` a share of what an
adapter adds is one vector. Every question adds something of its own to each, half of it the template's.
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

from coherence.statistics.alignment import Alignment
from coherence.statistics.constant_share import ConstantShare
from coherence.statistics.effect_slope import effect_slope
from coherence.statistics.intervals import Interval
from coherence.statistics.response import Contest
from coherence.statistics.site_effects import SiteEffects

WIDTH, TOKENS, POSITIONS = 32, 12, 3
DOSES = (0.0, 0.25, 0.5, 0.75, 1.0)
SPREAD = 0.25  # of a question along any direction, in units of how long one is
WANDERING = 0.15  # of what a question makes of an effect, in units of that
SITES = (0.2, 0.5, 0.5, 0.45, 0.1)
BAND, LATE, ELSEWHERE = (1, 2), (4,), 3
TRUTHS = {
    "conflict: dose that wins": 0.6,
    "gateway: effect at its peak": max(SITES),
    "gateway: lead of the band": max(SITES) - SITES[ELSEWHERE],
    "gateway: effect late": SITES[4] / max(SITES),
    "gateway: loss at another site": max(SITES) - SITES[ELSEWHERE],
    "convergence: cosine": 0.8,
    "convergence: lead over other traits": 0.8 - 0.3,
    "convergence: effect left": 0.5,
    "constant_shift: share": 0.6,
}
"""What is true of all questions, by the names of the estimates."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Questions of so many templates, `each` of one."""

    templates: int
    each: int
    random: np.random.Generator

    @property
    def clusters(self) -> list[str]:
        """The template of each question."""
        return [f"t{template}" for template in range(self.templates) for _ in range(self.each)]

    def estimates(self) -> Iterator[tuple[str, Interval]]:
        """Yield the estimates of all that is planted, by name."""
        yield "conflict: dose that wins", self._winning()
        effects = self._effects()
        yield "gateway: effect at its peak", effects.largest
        yield "gateway: lead of the band", effects.lead(BAND)
        yield "gateway: effect late", effects.left_over(LATE)
        yield "gateway: loss at another site", effects.loss(ELSEWHERE)
        own, *others = self._compared()
        yield "convergence: cosine", own.cosine()
        yield "convergence: lead over other traits", own.lead(others)
        yield "convergence: effect left", self._left()
        yield "constant_shift: share", self._share()

    def _winning(self) -> Interval:
        axis = np.eye(WIDTH)[0]
        at = np.array(DOSES)[:, None, None] * axis / (2 * TRUTHS["conflict: dose that wins"])
        mixed = at + SPREAD * self._own(len(DOSES), WIDTH)
        prompted = axis + SPREAD * self._own(1, WIDTH)[0]
        return Contest(DOSES, mixed, prompted - mixed[0], self.clusters).winning

    def _effects(self) -> SiteEffects:
        whole = np.exp(self._own(1, 1)[0, :, 0] / 2)
        shares = np.array(SITES)[:, None] + WANDERING * self._own(len(SITES), 1)[..., 0]
        return SiteEffects(whole * (1 - shares), whole, self.clusters)

    def _compared(self) -> list[Alignment]:
        axes = np.eye(WIDTH)
        cosines = (TRUTHS["convergence: cosine"], 0.3, 0.2)
        ways = [
            cosine * axes[0] + sqrt(1 - cosine**2) * axes[1 + turn] for turn, cosine in enumerate(cosines)
        ]
        first, *others = np.stack([axes[0], *ways])[:, None] + SPREAD * self._own(4, WIDTH)
        return [Alignment.of(first[None], other[None], self.clusters) for other in others]

    def _left(self) -> Interval:
        effects = 1 + self._own(1, TOKENS)[0]
        slopes = TRUTHS["convergence: effect left"] + WANDERING * self._own(1, 1)[0]
        return effect_slope([*(slopes * effects)], [*effects], self.clusters)

    def _share(self) -> Interval:
        share = TRUTHS["constant_shift: share"]
        own = sqrt((1 - share) / WIDTH) * self._own(POSITIONS, WIDTH)
        return ConstantShare.of((sqrt(share) * np.eye(WIDTH)[0] + own)[None], self.clusters).share()

    def _own(self, kinds: int, width: int) -> np.ndarray:
        """Draw what each question has of its own, with a variance of 1: [kinds, probes, width]."""
        common, own = (
            self.random.standard_normal((kinds, self.templates, size, width)) for size in (1, self.each)
        )
        return np.asarray(sqrt(0.5) * (common + own).reshape(kinds, -1, width))


def covered(replications: int, seed: int) -> list[Found]:
    """Draw samples of every design anew, and gather their estimates."""
    gathered = []
    cells = [*product(DESIGNS, SIZES)]
    for number, (design, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        each, random = DESIGNS[design], np.random.default_rng((seed, number))
        ends: dict[str, list[tuple[float, ...]]] = {}
        for _ in range(replications):
            for name, one in Sample(n // each, each, random).estimates():
                ends.setdefault(name, []).append((one.value, one.low, one.high, TRUTHS[name]))
        gathered += [Found(name, design, n, np.array(listed)) for name, listed in ends.items()]
    return sorted(gathered, key=lambda one: (one.estimate, one.probes, one.n))
