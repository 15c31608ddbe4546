"""Means and ratios of values with a long upper tail: how often are their intervals wrong.

`python benchmarks/truth.py kl` draws KL from distributions whose mean is known, and tells how often each
interval lies wholly below it (a false pass of 'at most') or above it; in how many samples no probe broke, and
how many tails are called heavy.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from rich.progress import track
from rounds import CONSOLE, table

from coherence.statistics import jackknife
from coherence.statistics.heavy_tail import heaviest
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.jackknife import ratio_of_means

SIZES = (8, 16, 24, 64)
TEMPLATE = 4  # probes of one template
SHARED = 0.5  # of the variance of the logarithm: what the probes of a template have in common
BROKEN, USUAL, OFTEN = 1.0, 0.02, 0.1
"""Nats of a probe that breaks and of one that does not, and the share that break."""


@dataclass(frozen=True)
class Tail:
    """A distribution of KL over questions, and its mean."""

    name: str
    mean: float
    drawn: Callable[[np.random.Generator, int], Array]
    templates: bool = False


@dataclass(frozen=True)
class Row:
    """One tail at one number of probes; shares of all samples."""

    tail: str
    interval: str
    n: int
    replications: int
    covered: float
    below: float
    above: float
    high: float  # median upper end, in units of the mean
    unbroken: float  # samples without a value over half a nat
    heavy: float  # samples whose tail is called heavy

    @classmethod
    def of(cls, line: Mapping[str, str]) -> "Row":
        """From a line of the kept numbers."""
        found = {name: float(value) for name, value in line.items() if name not in ("tail", "interval")}
        n, replications = int(found.pop("n")), int(found.pop("replications"))
        return cls(line["tail"], line["interval"], n, replications, **found)


def lognormal(sd: float) -> Tail:
    """Log-normal KL of single probes."""
    return Tail(f"lognormal, sd {sd:g}", exp(sd**2 / 2), lambda random, n: random.lognormal(0, sd, n))


def templates(sd: float) -> Tail:
    """Log-normal KL of probes in templates, half of whose variance is the template's."""

    def drawn(random: np.random.Generator, n: int) -> Array:
        shared = np.repeat(random.normal(size=n // TEMPLATE), TEMPLATE)
        own = random.normal(size=n)
        return np.asarray(np.exp(sd * (SHARED**0.5 * shared + (1 - SHARED) ** 0.5 * own)))

    return Tail(f"lognormal, sd {sd:g}, templates", exp(sd**2 / 2), drawn, templates=True)


def mixture(random: np.random.Generator, n: int) -> Array:
    """Most probes near a small KL, some at a large one."""
    usual = USUAL * random.lognormal(-(0.5**2) / 2, 0.5, n)
    return np.where(random.random(n) < OFTEN, BROKEN, usual)


TAILS = (
    *map(lognormal, (0.5, 1.0, 1.5)),
    Tail("gamma, shape 0.5", 0.5, lambda random, n: random.gamma(0.5, 1.0, n)),
    Tail("one in ten breaks", OFTEN * BROKEN + (1 - OFTEN) * USUAL, mixture),
    *map(templates, (0.5, 1.0, 1.5)),
)
Estimate = Callable[[Array, Array, list[str]], Interval]
"""From values, those of the unit of a ratio, and clusters."""
INTERVALS: Mapping[str, Estimate] = {
    "mean, Student's t": lambda kl, _, clusters: jackknife.mean(kl, clusters),
    "mean": lambda kl, _, clusters: jackknife.positive_mean(kl, clusters),
    "ratio, Fieller's": lambda kl, unit, clusters: ratio_of_means(kl[None], unit[None], clusters),
    "ratio": lambda kl, unit, clusters: jackknife.positive_ratio(kl, unit, clusters),
}


def kl(replications: int, seed: int) -> list[Row]:
    """Draw, estimate and count."""
    cells = [(tail, n) for tail in TAILS for n in SIZES]
    rows: list[Row] = []
    for number, (tail, n) in enumerate(track(cells, "drawing", console=CONSOLE, transient=True)):
        random = np.random.default_rng((seed, number))
        rows += _counted(tail, n, replications, random)
    return rows


def _counted(tail: Tail, n: int, replications: int, random: np.random.Generator) -> Iterator[Row]:
    clusters = [f"q{row // TEMPLATE if tail.templates else row}" for row in range(n)]
    samples = [tail.drawn(random, n) for _ in range(replications)]
    # Its unit is a KL as well, of the same mean and with a shorter tail.
    units = [tail.mean * random.lognormal(-(0.5**2) / 2, 0.5, n) for _ in range(replications)]
    unbroken = np.mean([sample.max() < BROKEN / 2 for sample in samples])
    heavy = np.mean([heaviest(sample, clusters) is not None for sample in samples])
    for name, estimate in INTERVALS.items():
        truth = 1.0 if name.startswith("ratio") else tail.mean
        found = [estimate(*pair, clusters) for pair in zip(samples, units, strict=True)]
        low, high = np.array([(each.low, each.high) for each in found]).T
        below, above = np.mean(high < truth), np.mean(low > truth)
        yield Row(
            tail.name, name, n, replications,
            *(round(float(each), 4) for each in (
                1 - below - above, below, above, np.median(high) / truth, unbroken, heavy
            )),
        )  # fmt: skip


def cells(rows: Iterable[Row]) -> dict[tuple[str, str], dict[int, str]]:
    """By tail and interval, then by number of probes: below / above in percent (upper end)."""
    found: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for row in rows:
        said = f"{100 * row.below:.1f} / {100 * row.above:.1f} ({row.high:.1f})"
        found[row.tail, row.interval][row.n] = said
    return found


def seen(rows: Iterable[Row]) -> dict[str, dict[int, str]]:
    """By tail, then by number of probes: in how many samples nothing broke, and how many are called heavy."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for row in rows:
        found[row.tail][row.n] = f"{row.unbroken:.0%}, {row.heavy:.0%}"
    return found


def tell(rows: Sequence[Row]) -> None:
    """Print how often intervals miss, and what else is seen."""
    sizes = [str(n) for n in SIZES]
    missed = [(*names, *by_size.values()) for names, by_size in cells(rows).items()]
    table(
        "intervals wholly below / above the truth, % (median upper end, in units of the truth)",
        ("KL", "interval of the", *sizes),
        missed,
        "below is a false pass of 'at most'; stated 2.5",
    )
    beside = [(name, *by_size.values()) for name, by_size in seen(rows).items()]
    table("samples without a value over half a nat, and with a heavy tail", ("KL", *sizes), beside)
