"""Conversations in a planted double well: is the border of its basins found where it was planted.

A position moves from turn to turn by x <- x - step x (x - border) (x - 1) + noise: it falls to 0 from below
the border, and to 1 from above it. What is read is the position and what the question adds, the same in the
unmoved conversation. The truth is the mean map of all conversations, by carrying their density from turn to
turn, and by none of the code that estimates it.

    python benchmarks/truth_basins.py [--replications N]

prints how often the interval holds the border, and keeps it in results/truth-basins.csv.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from rich.progress import track
from rounds import CONSOLE, table
from scipy.stats import norm

from coherence.statistics.basin_map import BasinMap
from coherence.statistics.intervals import Array

KEPT = Path(__file__).parent / "results" / "truth-basins.csv"
SIZES = (4, 8, 16, 32)
GRID = np.linspace(-1.5, 2.5, 1601)


@dataclass(frozen=True)
class Basins:
    """What is planted. Without a border there is one well, at 0."""

    border: float | None = 0.5
    step: float = 2.0
    noise: float = 0.1  # of every turn
    spread: float = 0.05  # of the scripts' starts
    questions: float = 0.3  # spread of what questions add
    turns: int = 3
    at: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)

    def at_border(self, border: float | None) -> "Basins":
        """Plant the border somewhere else."""
        return replace(self, border=border)

    def drawn(self, scripts: int, random: np.random.Generator) -> BasinMap:
        """Estimate from so many scripts."""
        shape = 1 + len(self.at), scripts  # the first is the unmoved conversation
        x = np.array([0.0, *self.at])[:, None] + self.spread * random.normal(size=shape)
        first, last = self.questions * random.normal(size=(2, scripts))
        start = x + first
        for _ in range(self.turns):
            x = self.fallen(x) + self.noise * random.normal(size=shape)
        end = x + last
        names = [f"s{number}" for number in range(scripts)]
        return BasinMap.of(start[1:] - start[0], end[1:] - end[0], names)

    def fallen(self, x: Array) -> Array:
        """One turn without noise."""
        return 0.5 * x if self.border is None else x - self.step * x * (x - self.border) * (x - 1)

    @cached_property
    def ends(self) -> Array:
        """Mean end of every start, from the unmoved conversation, [starts]."""
        cell = GRID[1] - GRID[0]
        carried = norm.pdf(GRID[:, None], self.fallen(GRID)[None, :], self.noise) * cell
        means = []
        for start in (0.0, *self.at):
            density = norm.pdf(GRID, start, self.spread)
            for _ in range(self.turns):
                density = carried @ density
            means.append(density @ GRID / density.sum())
        ends: Array = np.array(means[1:]) - means[0]
        return ends

    @property
    def truth(self) -> float:
        """Where the line through all conversations' mean map crosses the diagonal from below."""
        at = np.array((0.0, *self.at))
        off = np.append(0.0, self.ends) - at
        (left,) = (row for row in range(len(at) - 1) if off[row] < -1e-9 and off[row + 1] >= 0)
        return float(np.interp(0, off[left : left + 2], at[left : left + 2]))


QUIET = Basins(noise=0.02, spread=0.02, at=tuple(np.linspace(0, 1, 17)[1:].tolist()))
NOISY = Basins()


def covered(basins: Basins, n: int, replications: int, seed: int) -> Iterator[str]:
    """Yield truth, mean estimate, shares that tell it and cover it (the truth, what was planted), width."""
    draws = (basins.drawn(n, np.random.default_rng((seed, turn))) for turn in range(replications))
    found = [
        basins_map.border() for basins_map in track(draws, f"{n} scripts", replications, console=CONSOLE)
    ]
    told = [one for one in found if np.isfinite([one.low, one.high]).all()]
    if basins.border is None:
        yield from ("-", "-", f"{len(told) / len(found):.3f}", "-", "-", "-")
        return
    yield from (f"{one:.3f}" for one in (
        basins.truth,
        np.mean([one.value for one in found]),
        len(told) / len(found),
        *(np.mean([one.low <= true <= one.high for one in found]) for true in (basins.truth, basins.border)),
        np.median([one.high - one.low for one in told]) if told else np.nan,
    ))  # fmt: skip


def main() -> None:
    """Plant, draw, estimate and tell."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--replications", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    every = product({"quiet": QUIET, "noisy": NOISY}.items(), (0.35, 0.5, 0.65, None), SIZES)
    lines = [
        (kind, "none" if border is None else f"{border:g}", str(n),
         *covered(basins.at_border(border), n, asked.replications, asked.seed))
        for (kind, basins), border, n in every
    ]  # fmt: skip
    columns = ("draws", "planted", "n", "truth", "mean", "told", "covered", "planted covered", "width")
    table("basins", columns, lines)
    with KEPT.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])


if __name__ == "__main__":
    main()
