"""What other claims of a run cost one: a fault among claims of which every truth lies at its threshold.

An assertion has three criteria, each the mean of 24 probes with Student's t, and a third of the noise of all
that is in a run is the same. A fault moves one criterion of one assertion to its wrong side.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from scipy.stats import t as student

from coherence.statistics.intervals import Array
from coherence.statistics.multiplicity import holm, shares
from coherence.vocabulary.evidence import FAMILY_WISE

PROBES = 24
CRITERIA = 3
SHARED = 1 / 3
FAMILIES = ("collinearity", "markers", "commutativity", "attractor")
EFFECTS = {"healthy": 0.0, "small": 3.0, "medium": 5.0, "full": 10.0}
"""How far beyond its threshold the truth is, in standard errors."""


@dataclass(frozen=True)
class Suite:
    """A faulty assertion and those beside it: at their thresholds, or such as could not fail."""

    name: str
    beside: int
    families: tuple[str, ...] = FAMILIES
    counted: bool = True

    @property
    def groups(self) -> list[str | None]:
        """The family of each criterion, the faulty assertion's first; None where it is not counted."""
        others = [self.families[number % len(self.families)] for number in range(self.beside)]
        beside = [family if self.counted else None for family in others for _ in range(CRITERIA)]
        return [FAMILIES[0]] * CRITERIA + beside

    @cached_property
    def weights(self) -> tuple[Array, Array]:
        """Shares of the level as the gate divides it, and divided evenly."""
        counted = np.array([0.0 if group is None else 1.0 for group in self.groups])
        return shares(self.groups), counted

    def drawn(self, effect: float, random: np.random.Generator) -> Array:
        """Draw the one-sided p of each criterion; what could not fail is as far inside as can be."""
        count, free = (1 + self.beside) * CRITERIA, PROBES - 1
        noise = np.sqrt(SHARED) * random.normal() + np.sqrt(1 - SHARED) * random.normal(size=count)
        noise[0] += effect
        found: Array = student.sf(noise / np.sqrt(random.chisquare(free, count) / free), free)
        if not self.counted:
            found[CRITERIA:] = 1.0
        return found


SUITES = (
    Suite("1", 0),
    Suite("50", 49),
    Suite("500", 499),
    Suite("500, the others of one other family", 499, FAMILIES[1:2]),
    Suite("500, the others all of its family", 499, FAMILIES[:1]),
    Suite("500, the others such as could not fail", 499, counted=False),
)


@dataclass(frozen=True)
class Padded:
    """Shares of runs in which the faulty assertion is a fail, is one by itself, or anything healthy is one.

    `evenly` is where every criterion has the same share of the level, whatever its family.
    """

    suite: str
    effect: str
    replications: int
    fails: float
    evenly: float
    alone: float
    healthy_fails: float


def padded(replications: int, seed: int) -> Iterator[Padded]:
    """Draw every suite at every effect, and judge it as the gate does."""
    for suite in SUITES:
        for effect, size in EFFECTS.items():
            random = np.random.default_rng((seed, suite.beside, round(size * 10)))
            found = [
                judged(suite, suite.drawn(size, random), healthy=not size)
                for _ in track(range(replications), f"{suite.name}, {effect}", console=CONSOLE)
            ]
            yield Padded(suite.name, effect, replications, *np.mean(found, 0).round(4).tolist())


def judged(suite: Suite, p: Array, healthy: bool) -> tuple[bool, bool, bool, bool]:
    """Say what `Padded` has shares of, of one run; `healthy` where there is no fault."""
    alone = p <= FAMILY_WISE / 2
    among, evenly = (alone & (holm(p, weights) <= FAMILY_WISE) for weights in suite.weights)
    own = slice(0, CRITERIA)
    any_healthy = among[0 if healthy else CRITERIA :].any()
    return bool(among[own].any()), bool(evenly[own].any()), bool(alone[own].any()), bool(any_healthy)
