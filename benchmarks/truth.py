"""How often intervals, estimates and verdicts are wrong, on a model of which the truth is known."""

import argparse
import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import truth_page
import truth_tail
from rounds import CONSOLE, table
from truth_claims import AGREEMENT, PLAIN, PLANTED, Population
from truth_composition import COMPOSITION
from truth_draws import DESIGNS, Found, Row, replicated
from truth_model import PERSONAS, TEMPLATES, World
from truth_page import NUMBERS, OF_COMPOSITION, OF_KL, POWER

from coherence.store import Store

COMMANDS = ("coverage", "bias", "power", "false-alarm", "all", "composition", "kl")
LEVEL = 0.025
"""Stated rate of false alarms at a threshold: one tail of the interval."""
GAPS = {
    "specific cosine": 0.1,
    "margin over best foreign persona": 0.2,
    AGREEMENT: 0.4,
    "rate adapter - prompt": 0.3,
    "KL ratio": 0.1,
    "signed area": 0.05,
    "tipping weight": 0.1,
}
"""How far a threshold is from the truth when power is told."""


def coverage(rows: Iterable[Row]) -> None:
    """Print how often each interval holds the truth."""
    _print(
        "coverage of the 95 % intervals, and their median width",
        rows,
        lambda row: f"{row.covered:.1%} +- {row.covered_error:.1%}, {row.width:.2g}",
        "endless intervals cover as well; +- is the Monte-Carlo error",
    )


def bias(rows: Iterable[Row]) -> None:
    """Print how far the mean estimate is from the truth."""
    _print(
        "bias of the estimates",
        rows,
        lambda row: f"{row.bias:+.3f} +- {row.bias_error:.3f}",
        f"{PLAIN!r} is the cosine of the means, which the specific cosine corrects",
    )


def false_alarm(rows: Iterable[Row]) -> None:
    """Print how often a threshold that is exactly the truth is said to be missed."""
    _print(
        "false alarms at the threshold: 'at least' and 'at most'",
        rows,
        lambda row: f"{row.too_low:.1%}, {row.too_high:.1%}",
        f"stated level {LEVEL:.1%} each",
    )


def power(found: Sequence[Found]) -> dict[tuple[str, str], dict[int, float]]:
    """Print how often a threshold at a distance is told from the truth."""
    curves = {}
    for kind, gap in GAPS.items():
        for probes in DESIGNS:
            chosen = [one for one in found if one.probes == probes and one.estimate.endswith(f": {kind}")]
            sizes = sorted({one.n for one in chosen})
            shares = [np.mean([one.power(gap) for one in chosen if one.n == n]) for n in sizes]
            curves[f"{kind}, {gap:g} away", probes] = dict(zip(sizes, map(float, shares), strict=True))
    sizes = sorted({n for curve in curves.values() for n in curve})
    lines = [
        (kind, probes, *(f"{curve[n]:.0%}" if n in curve else "-" for n in sizes))
        for (kind, probes), curve in curves.items()
    ]
    table("power: share of samples that decide", ("estimate", "probes", *map(str, sizes)), lines)
    return curves


def planted(population: Population, world: World) -> None:
    """Print what was planted beside what the population has where nothing has stirred it yet."""
    lines = [
        (name, f"{wanted:.3f}", f"{found:.3f}")
        for name, wanted, found in zip(PERSONAS, world.cosines, population.unstirred(), strict=True)
    ]
    table("specific cosine after the first block", ("persona", "planted", "measured"), lines)


def _print(title: str, rows: Iterable[Row], said: Callable[[Row], str], note: str) -> None:
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for row in rows:
        cells.setdefault((row.estimate, row.probes), {})[row.n] = said(row)
    sizes = sorted({n for by_size in cells.values() for n in by_size})
    lines = [(*key, *(by_size.get(n, "") for n in sizes)) for key, by_size in cells.items()]
    table(title, ("estimate", "probes", *map(str, sizes)), lines, note)


def _write(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def tell(command: str, found: Sequence[Found], keep: bool) -> None:
    """Print what was asked for; keep the numbers of a whole run."""
    rows = [one.row for one in found]
    intervals = [row for row in rows if not row.estimate.endswith(PLAIN)]
    composed = command == "composition"
    if composed or command in ("coverage", "all"):
        coverage(intervals)
    if composed or command in ("bias", "all"):
        bias(rows)
    if composed or command in ("false-alarm", "all"):
        false_alarm(intervals)
    curves = power(found) if command in ("power", "all") else None
    if keep:
        _write(OF_COMPOSITION if composed else NUMBERS, [asdict(row) for row in rows])
    if keep and composed:
        truth_page.write_composition()
    if keep and curves:
        lines = [
            {"estimate": kind, "probes": probes, "n": n, "decided": round(share, 4)}
            for (kind, probes), curve in curves.items()
            for n, share in curve.items()
        ]
        _write(POWER, lines)
        truth_page.write()


def tail(replications: int, seed: int, keep: bool) -> None:
    """Tell of means of KL, which take no model; keep the numbers of a whole run."""
    rows = truth_tail.kl(replications, seed)
    truth_tail.tell(rows)
    if keep:
        _write(OF_KL, [asdict(row) for row in rows])
        truth_page.write_kl()


def main() -> None:
    """Plant, measure, draw, judge, and tell."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("command", choices=COMMANDS)
    options.add_argument("--replications", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--quick", action="store_true", help="few questions and replications; keeps nothing")
    asked = options.parse_args()
    replications, templates = (40, 60) if asked.quick else (asked.replications, TEMPLATES)
    if asked.command == "kl":
        tail(replications, asked.seed, keep=not asked.quick)
        return
    tried = COMPOSITION if asked.command == "composition" else PLANTED
    with TemporaryDirectory() as folder:
        with CONSOLE.status("measuring the population"):
            world = World(Path(folder) / "world", asked.seed, templates)
            population = Population(world, Store(Path(folder) / "store"), tried)
        size = len(population.scene.probes)
        CONSOLE.print(f"seed {asked.seed}, {replications} replications, drawn from {size} questions")
        if tried is PLANTED:
            planted(population, world)
        tell(asked.command, replicated(population, replications, asked.seed), keep=not asked.quick)


if __name__ == "__main__":
    main()
