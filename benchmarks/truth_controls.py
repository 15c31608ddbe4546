"""Looks at controls: how often one that would pass is taken to fail by its first probes, and what that saves.

`python benchmarks/truth.py controls` draws samples probe by probe, as `looks` does, and holds each against
bounds that a control is within, at, or beyond.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from rich.progress import track
from rounds import CONSOLE
from truth_looks import SAMPLES, Sample

from coherence.properties.criterion import held
from coherence.statistics.interim import look_levels
from coherence.statistics.intervals import TAIL
from coherence.vocabulary import Verdict

SIZES = (24, 64)
DISTANCES = {"4.3 within": 4.3, "2 within": 2.0, "at the bound": 0.0, "4.3 beyond": -4.3, "10 beyond": -10.0}
"""Where the control's truth is from the bound, in standard errors of the whole sample."""


@dataclass(frozen=True)
class Row:
    """One sample and one place of the truth; shares of all samples."""

    sample: str
    n: int
    truth: str
    replications: int
    passes_by_all: float
    passes: float
    """Where it may be taken to fail by its first probes."""
    probes: float
    """How many are measured on average."""


def looked_at(replications: int, seed: int) -> Iterator[Row]:
    """Draw, look after a third and two thirds of the probes, and count."""
    cells = list(product(SAMPLES, SIZES, DISTANCES))
    for number, (sample, n, place) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        random = np.random.default_rng((seed, number))
        found = [_ended(sample, n, DISTANCES[place], random) for _ in range(replications)]
        by_all, looked, probes = (float(np.mean(column)) for column in zip(*found, strict=True))
        yield Row(sample.name, n, place, replications, round(by_all, 4), round(looked, 4), round(probes, 2))


def _ended(sample: Sample, n: int, distance: float, random: np.random.Generator) -> tuple[bool, bool, int]:
    """Tell whether it passes by all probes, and where it is looked at; and after how many it ends."""
    drawn, sizes = sample.drawn(random, n), [-(-n // 3), -(-2 * n // 3), n]
    low, high = sample.bounds(distance, n)
    criteria = [
        held(
            sample.name,
            sample.interval(drawn[:size], [f"q{row}" for row in range(size)]),
            size,
            low,
            high,
            key=None,
        )
        for size in sizes
    ]
    passes = criteria[-1].verdict is Verdict.PASS
    for criterion, size, level in zip(criteria[:-1], sizes, look_levels(sizes, 2 * TAIL), strict=False):
        if criterion.is_decided(Verdict.FAIL, level):
            return passes, False, size
    return passes, passes, n
