"""Poles with a planted double well between them: are the estimates of a mixture those that were planted.

A question's position x is the deepest point of x^4 / 4 - depth x^2 / 2 - h x, its tilt h = pull (w - its own
tipping weight). Below a depth of 0 there is one well, in which the position slides; above it there are two,
and it switches from one to the other. The truth is the mean over all questions, by quadrature, and by none of
the code that estimates it.

    python benchmarks/truth_wells.py [--replications N]

prints how often each interval holds the truth, and keeps it in results/truth-wells.csv.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from rich.progress import track
from rounds import CONSOLE, table
from scipy.optimize import brentq, curve_fit
from scipy.stats import norm

from coherence.statistics.intervals import Array, Interval
from coherence.statistics.response import Response

KEPT = Path(__file__).parent / "results" / "truth-wells.csv"
SIZES = (8, 16, 24, 64)
WIDTH = 16
NODES = 501  # of the quadrature


@dataclass(frozen=True)
class Wells:
    """What is planted. Tipping weights of questions are normal around `tips`."""

    depth: float
    tips: float = 0.4
    pull: float = 2.0
    own: float = 0.15  # spread of the questions' tipping weights
    noise: float = 0.3  # of each residual, per dimension, in units of half the distance of two wells
    at: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)

    def drawn(self, n: int, random: np.random.Generator) -> Response:
        """Estimate from n questions, whose axes differ as well."""
        tips = self.tips + self.own * random.normal(size=n)
        line = np.eye(1, WIDTH)[0]
        positions = deepest(self.depth, self.pull * (np.array(self.at)[:, None] - tips))
        noise = self.noise * random.normal(size=(len(self.at), n, WIDTH))
        mixed = random.normal(size=(n, WIDTH)) + positions[..., None] * line + noise
        axis = 2 * line + self.noise * random.normal(size=(n, WIDTH))
        return Response(self.at, mixed, axis, [f"q{number}" for number in range(n)])

    @cached_property
    def truths(self) -> dict[str, float]:
        """What is true of all questions, by the names of the estimates."""
        at, m = np.array(self.at), self._m(np.array(self.at))
        after = int(np.argmax(m >= 0.5))
        (fitted, _), line = (
            curve_fit(_logistic, at, m, p0=(self.tips, 4.0)),
            np.polynomial.Polynomial.fit(at, m, 1),
        )
        return {
            "separation": float(np.ptp(self._mean(np.array([0.0, 1.0])))) / 2,
            "area": float(np.trapezoid(m - at, at)),
            "tipping": float(np.interp(0.5, m[after - 1 : after + 1], at[after - 1 : after + 1])),
            "smallest_step": float(np.min(np.diff(m) / np.diff(at))),
            "steepness": _rms(line(at) - m) - _rms(_logistic(at, *fitted) - m),
        }

    @property
    def planted(self) -> float:
        """The weight at which the mean is half way, where every weight is measured."""
        return float(brentq(lambda weight: float(self._m(np.array([weight]))[0]) - 0.5, 0, 1))

    def _m(self, weights: Array) -> Array:
        low, high = self._mean(np.array([0.0, 1.0]))
        risen: Array = (self._mean(weights) - low) / (high - low)
        return risen

    def _mean(self, weights: Array) -> Array:
        shares = (np.arange(NODES) + 0.5) / NODES
        tips = self.tips + self.own * norm.ppf(shares)
        mean: Array = deepest(self.depth, self.pull * (weights[:, None] - tips)).mean(1)
        return mean


def deepest(depth: float, tilt: Array) -> Array:
    """Find the deepest point of the potential: the root of x^3 - depth x - tilt on the tilt's side of 0."""
    size = np.abs(tilt)
    x = np.sqrt(max(depth, 0.0)) + np.cbrt(size) + 1e-9
    for _ in range(60):  # Newton's method from above, where the cubic is convex
        x = x - (x**3 - depth * x - size) / (3 * x**2 - depth)
    point: Array = np.copysign(x, tilt)
    return point


def _logistic(at: Array, middle: float, steepness: float) -> Array:
    return 1 / (1 + np.exp(-steepness * (at - middle)))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def covered(wells: Wells, n: int, replications: int, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """Yield by estimate the share of intervals that hold the truth, the mean estimate, the median width."""
    drawn = [
        wells.drawn(n, np.random.default_rng((seed, turn)))
        for turn in track(range(replications), f"depth {wells.depth:g}, {n} questions", console=CONSOLE)
    ]
    for name, truth in wells.truths.items():
        found: list[Interval] = [getattr(response, name) for response in drawn]
        held = np.mean([one.low <= truth <= one.high for one in found])
        width = np.median([one.high - one.low for one in found])
        yield name, float(held), float(np.mean([one.value for one in found])), float(width)


def main() -> None:
    """Plant, draw, estimate and tell."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--replications", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    lines = []
    for depth, n in product((-1.0, 0.0, 1.0), SIZES):
        wells = Wells(depth)
        for name, held, mean, width in covered(wells, n, asked.replications, asked.seed):
            truth = wells.truths[name]
            lines.append(
                (f"{depth:g}", n, name, f"{truth:.3f}", f"{mean:.3f}", f"{held:.3f}", f"{width:.3f}")
            )
    columns = ("depth", "n", "estimate", "truth", "mean", "covered", "width")
    table("double wells", columns, [tuple(map(str, line)) for line in lines])
    with KEPT.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])


if __name__ == "__main__":
    main()
