"""Made-up personas and roles, and how often intervals about several of them do not hold the truth.

No model is run. Personas, roles and default prompts move the residuals of a question along directions that
are drawn once; a question, and its template, move each of them in a way of their own, part of which a
persona has in both regimes. What estimates come to without any of that is the truth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import sqrt

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from truth_draws import Found
from truth_effects import DESIGNS, SIZES

from coherence.properties.eligibility import LEAST_CLUSTERS
from coherence.statistics.displacements import Displacements
from coherence.statistics.distinctness import Distinctness
from coherence.statistics.generic import Generic
from coherence.statistics.intervals import Interval
from coherence.statistics.jackknife import smallest
from coherence.statistics.mean_gram import MeanGram
from coherence.statistics.placement import Placement
from coherence.statistics.principal import Principal

WIDTH, PERSONAS, ROLES = 64, 5, 8
PULLED = (0.0, 0.25, 0.5, 0.75)
NOISE = 1.5  # length of what a question adds, in lengths of a persona's own part
SHARED = 0.5  # share of its variance that a persona has in both regimes
COMPONENTS = 3


@dataclass(frozen=True)
class Planted:
    """Directions of everybody: personas by prompt, roles and the default."""

    seed: int

    @cached_property
    def drawn(self) -> np.random.Generator:
        """What directions are drawn by."""
        return np.random.default_rng(self.seed)

    @cached_property
    def axes(self) -> np.ndarray:
        """Unit vectors at right angles, as many as it takes."""
        return np.asarray(np.linalg.qr(self.drawn.standard_normal((WIDTH, 2 * PERSONAS + 6)))[0].T)

    @cached_property
    def prompts(self) -> np.ndarray:
        """Personas of unequal lengths, not quite at right angles, and what all share: [personas, width]."""
        lean = 0.25 * self.drawn.standard_normal((PERSONAS, PERSONAS))
        own = (np.diag([0.7, 0.9, 1.0, 1.1, 1.3]) + lean) @ self.axes[:PERSONAS]
        like_roles = 0.5 * self.drawn.standard_normal((PERSONAS, 3)) @ self.axes[PERSONAS : PERSONAS + 3]
        return np.asarray(own + like_roles + self.axes[-1])

    @cached_property
    def roles(self) -> np.ndarray:
        """Roles along three axes, and the default beside them: [roles + 1, width]."""
        scores = self.drawn.standard_normal((ROLES, 3)) * [1.5, 1.0, 0.6]
        return np.vstack([scores @ self.axes[PERSONAS : PERSONAS + 3], 1.5 * self.axes[PERSONAS + 3]])

    @cached_property
    def trained(self) -> np.ndarray:
        """Personas by adapters that go another way in part, and share something else: [personas, width]."""
        aside = self.axes[PERSONAS + 4 : 2 * PERSONAS + 4]
        return np.asarray(0.7 * (self.prompts - self.axes[-1] + aside) + 1.5 * self.axes[-2])

    def adapters(self, pulled: float, merged: bool = False) -> np.ndarray:
        """Personas by adapter, pulled towards their mean; of two that are merged each is the mean of both."""
        moved = (1 - pulled) * self.prompts + pulled * self.prompts.mean(0)
        if merged:
            moved[:2] = moved[:2].mean(0)
        return np.asarray(moved)


def estimates(planted: Planted, stirred: np.ndarray, clusters: list[str]) -> Iterator[tuple[str, Interval]]:
    """Yield estimates by name, from what questions add: [regimes, conditions, probes, width]."""

    def moved(means: np.ndarray, side: int) -> np.ndarray:
        return np.asarray((means[:, None] + stirred[side, : len(means)])[:, None])

    first = moved(planted.prompts, 0)
    for pulled in PULLED:
        second = moved(planted.adapters(pulled), 1)
        yield f"distinct: spread, pulled by {pulled:.0%}", Distinctness.of(first, second, clusters).spread()
    merged = Distinctness.of(first, moved(planted.adapters(0.0, merged=True), 1), clusters)
    yield "distinct: effective rank, two merged", merged.rank()
    yield "distinct: smallest margin", _margin(first, moved(planted.trained, 1), clusters)
    everybody = np.vstack([planted.roles, planted.prompts])
    yield from _places(MeanGram.of(moved(everybody, 0), clusters))


def _margin(first: np.ndarray, second: np.ndarray, clusters: list[str]) -> Interval:
    names = [*product(range(2), range(PERSONAS))]
    rows = {name: row for row, name in enumerate(names)}
    raw = np.concatenate([first, second])
    units = np.stack([first, second], axis=1).mean(-2)
    leads = []
    for one in range(PERSONAS):
        generic = Generic(np.delete(units, one, axis=0))
        both = Displacements(rows, raw, generic, np.ones_like(raw[0]), clusters)
        others = [other for other in range(PERSONAS) if other != one]
        against = [both.compared((0, one), (1, other), without=unit) for unit, other in enumerate(others)]
        leads += both.compared((0, one), (1, one)).leads(against)
    return smallest(leads)


def _places(gram: MeanGram) -> Iterator[tuple[str, Interval]]:
    count = ROLES + 1 + PERSONAS
    each = np.eye(count)
    low, high = each[:ROLES].mean(0), each[ROLES]
    placement = Placement(gram, low, high)
    members = np.delete(each, ROLES, axis=0)
    space = Principal(gram, members - members.mean(0))
    yield "space: position on the axis", placement.of(each[-1])
    yield "space: cosine of two halves' axes", placement.stability()
    yield "space: components for 70 %", space.components()
    yield "space: cosine of axis and first component", space.first(placement.axis)
    personas = each[-PERSONAS:]
    yield "space: share within persona space", space.contained(personas - personas.mean(0), COMPONENTS)


def stirred(templates: int, each: int, random: np.random.Generator) -> np.ndarray:
    """Draw what questions add: half of it is their template's, and a part the same in both regimes."""
    spectrum = np.arange(1, WIDTH + 1) ** -0.5
    scale = NOISE * spectrum / np.linalg.norm(spectrum)
    shape = 3, ROLES + 1 + PERSONAS, templates
    common, own = (random.standard_normal((*shape, size, WIDTH)) for size in (1, each))
    added = (sqrt(0.5) * (common + own)).reshape(*shape[:2], templates * each, WIDTH) * scale
    return np.asarray(sqrt(SHARED) * added[2] + sqrt(1 - SHARED) * added[:2])


def covered(replications: int, seed: int) -> list[Found]:
    """Draw questions of every design anew, and gather the estimates of each sample."""
    planted, still = Planted(seed), np.zeros((2, ROLES + 1 + PERSONAS, 8, WIDTH))
    truth = {name: one.value for name, one in estimates(planted, still, [f"t{t}" for t in range(8)])}
    found = []
    cells = [(design, n) for design, n in product(DESIGNS, SIZES) if n >= LEAST_CLUSTERS * DESIGNS[design]]
    for number, (design, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        each, random = DESIGNS[design], np.random.default_rng((seed, number))
        templates = n // each
        clusters = [f"t{template}" for template in range(templates) for _ in range(each)]
        told: dict[str, list[tuple[float, ...]]] = {}
        for _ in range(replications):
            for name, one in estimates(planted, stirred(templates, each, random), clusters):
                told.setdefault(name, []).append((one.value, one.low, one.high, truth[name]))
        found += [Found(name, design, n, np.array(ends)) for name, ends in told.items()]
    return sorted(found, key=lambda one: (one.estimate, one.probes, one.n))
