"""Interim looks: how often they pass what should not pass, what they cost, and what they save.

`python benchmarks/truth.py looks` draws samples probe by probe, holds each against a bound at the truth, and
against bounds that a healthy release and a clear one keep a distance from.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import e, inf, sqrt

import numpy as np
from rich.progress import track
from rounds import CONSOLE

from coherence.properties.criterion import held
from coherence.statistics.agreement import paired_difference
from coherence.statistics.interim import look_levels
from coherence.statistics.intervals import TAIL, Array, Interval
from coherence.statistics.jackknife import mean, positive_mean
from coherence.vocabulary import Verdict

SIZES = (24, 64)
LOOKS = {"none": (), "a half": (1 / 2,), "two thirds": (2 / 3,), "a third, two thirds": (1 / 3, 2 / 3)}
"""Shares of the probes after which there is a look before the last."""
DISTANCES = {"at the truth": 0.0, "as calibrated": 4.3, "clear": 10.0}
"""How far the bound is from the truth, in standard errors of the whole sample.

`coherence calibrate --false-alarm 0.01` puts it at 1.96 + 2.33 of them.
"""


@dataclass(frozen=True)
class Sample:
    """What probes answer, [probes, sides], of which the truth and the spread of one probe are known."""

    name: str
    truth: float
    spread: float
    drawn: Callable[[np.random.Generator, int], Array]
    interval: Callable[[Array, Sequence[str]], Interval]
    is_floor: bool
    """Whether the bound is one that the truth is to be above."""

    def bounds(self, distance: float, n: int) -> tuple[float, float]:
        """Range whose bound is so many standard errors of n probes beyond the truth."""
        away = distance * self.spread / sqrt(n)
        return (self.truth - away, inf) if self.is_floor else (-inf, self.truth + away)


def _hits(random: np.random.Generator, n: int) -> Array:
    """Hits of two sides, at rates of .9 and .7 and independent of each other."""
    return (random.random((n, 2)) < (0.9, 0.7)).astype(np.float64)


SAMPLES = (
    Sample(
        "mean, normal, at least",
        0.0,
        1.0,
        lambda random, n: random.normal(size=(n, 1)),
        lambda sample, clusters: mean(sample[:, 0], clusters),
        is_floor=True,
    ),
    Sample(
        "mean KL, lognormal of sd 1, at most",
        sqrt(e),
        sqrt(e * (e - 1)),
        lambda random, n: random.lognormal(0, 1, (n, 1)),
        lambda sample, clusters: positive_mean(sample[:, 0], clusters),
        is_floor=False,
    ),
    Sample(
        "difference of rates .9 and .7, at least",
        -0.2,
        sqrt(0.9 * 0.1 + 0.7 * 0.3),
        _hits,
        lambda sample, clusters: paired_difference(sample[:, 0], sample[:, 1], clusters),
        is_floor=True,
    ),
)


@dataclass(frozen=True)
class Row:
    """One sample, one bound and one way to look; shares of all samples."""

    sample: str
    n: int
    looks: str
    bound: str
    replications: int
    passes: float
    each: float
    """Passes where every look has the whole level, as nobody should do it."""
    probes: float
    """How many are measured on average."""


def looked_at(replications: int, seed: int) -> Iterator[Row]:
    """Draw, look and count: the same samples for every bound and every way to look."""
    cells = [(sample, n) for sample in SAMPLES for n in SIZES]
    for number, (sample, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        random = np.random.default_rng((seed, number))
        intervals = [_at_each(sample, n, random) for _ in range(replications)]
        for name, bound in product(LOOKS, DISTANCES):
            yield _row(
                sample, n, name, bound, [_passes(sample, one, _sizes(name, n), bound) for one in intervals]
            )


def _sizes(looks: str, n: int) -> list[int]:
    return [*(round(share * n) for share in LOOKS[looks]), n]


def _at_each(sample: Sample, n: int, random: np.random.Generator) -> dict[int, Interval]:
    """Draw once, and make the interval of every size at which anybody looks."""
    drawn = sample.drawn(random, n)
    sizes = {size for looks in LOOKS for size in _sizes(looks, n)}
    return {size: sample.interval(drawn[:size], [f"q{row}" for row in range(size)]) for size in sizes}


def _passes(
    sample: Sample, intervals: Mapping[int, Interval], sizes: Sequence[int], bound: str
) -> tuple[bool, bool, int]:
    """Tell whether it passes, whether it would at 95 % each time, and after how many probes it ends."""
    low, high = sample.bounds(DISTANCES[bound], sizes[-1])
    criteria = [held(sample.name, intervals[size], size, low, high, key=None) for size in sizes]
    levels = look_levels(sizes, 2 * TAIL)
    passing = [one.is_decided(Verdict.PASS, level) for one, level in zip(criteria, levels, strict=True)]
    first = passing.index(True) if True in passing else -1
    return any(passing), any(one.verdict is Verdict.PASS for one in criteria), sizes[first]


def _row(sample: Sample, n: int, looks: str, bound: str, outcomes: Sequence[tuple[bool, bool, int]]) -> Row:
    passes, each, probes = (float(np.mean(column)) for column in zip(*outcomes, strict=True))
    shares = round(passes, 4), round(each, 4)
    return Row(sample.name, n, looks, bound, len(outcomes), *shares, round(probes, 2))
