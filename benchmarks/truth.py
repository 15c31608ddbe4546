"""How often intervals, estimates and verdicts are wrong, on a model of which the truth is known."""

import argparse
import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import truth_anchors
import truth_classifier
import truth_controls
import truth_effects
import truth_judges
import truth_looks
import truth_page
import truth_rates
import truth_relative
import truth_space
import truth_steering
import truth_tail
import truth_voice
from rounds import CONSOLE, table
from truth_claims import AGREEMENT, PLAIN, PLANTED, Population
from truth_composition import COMPOSITION
from truth_draws import DESIGNS, Found, Row, replicated
from truth_model import PERSONAS, TEMPLATES, World
from truth_padding import padded
from truth_page import BY_CHANCE, NUMBERS, OF_KL, POWER, kept

from coherence.store import Store

OF_A_MODEL = (
    "coverage",
    "bias",
    "power",
    "false-alarm",
    "all",
    "composition",
)
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
        _write(kept(command) if composed else NUMBERS, [asdict(row) for row in rows])
    if keep and composed:
        truth_page.write_drawn(command)
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


def rates(replications: int, seed: int, keep: bool) -> None:
    """Tell how often intervals of made-up replies are wrong, and how often chance is taken for agreement."""
    rows = [one.row for one in truth_rates.covered(replications, seed)]
    coverage(rows)
    false_alarm(rows)
    chance = truth_rates.by_chance(replications, seed)
    table("independent regimes", tuple(chance[0]), [tuple(map(str, line.values())) for line in chance])
    if keep:
        _write(kept("rates"), [asdict(row) for row in rows])
        _write(BY_CHANCE, chance)
        truth_page.write_rates()


def drawn(command: str, replications: int, seed: int, keep: bool) -> None:
    """Tell how often intervals of what is made up are wrong; no model is needed."""
    rows = [one.row for one in DRAWN[command](replications, seed)]
    coverage(rows)
    bias(rows)
    false_alarm(rows)
    if keep:
        _write(kept(command), [asdict(row) for row in rows])
        truth_page.write_drawn(command)


def tell_padding(replications: int, seed: int, keep: bool) -> None:
    """Print what many claims cost one; no model is needed."""
    lines = [asdict(one) for one in padded(replications, seed)]
    table("what many claims cost", tuple(lines[0]), [tuple(map(str, line.values())) for line in lines])
    if keep:
        _write(kept("padding"), lines)
        truth_page.write_padding()


def looks(replications: int, seed: int, keep: bool) -> None:
    """Tell what interim looks pass, cost and save; no model is needed."""
    lines = [asdict(one) for one in truth_looks.looked_at(replications, seed)]
    table("interim looks", tuple(lines[0]), [tuple(map(str, line.values())) for line in lines])
    if keep:
        _write(kept("looks"), lines)
        truth_page.write_looks()


def controls(replications: int, seed: int, keep: bool) -> None:
    """Tell what looks at controls err by and save; no model is needed."""
    lines = [asdict(one) for one in truth_controls.looked_at(replications, seed)]
    table("looks at controls", tuple(lines[0]), [tuple(map(str, line.values())) for line in lines])
    if keep:
        _write(kept("controls"), lines)
        truth_page.write_controls()


DRAWN: dict[str, Callable[[int, int], Iterable[Found]]] = {
    "samples": lambda draws, seed: truth_rates.covered(draws, seed, "samples", truth_rates.SAMPLES),
    "effects": truth_effects.covered,
    "classifier": truth_classifier.covered,
    "relative": truth_relative.covered,
    "voice": truth_voice.covered,
    "judges": truth_judges.covered,
    "space": truth_space.covered,
    "anchors": truth_anchors.covered,
    "steering": truth_steering.covered,
}
"""Intervals of made-up samples, by the command."""
MADE_UP: dict[str, Callable[[int, int, bool], None]] = {
    "kl": tail,
    "rates": rates,
    **{command: partial(drawn, command) for command in DRAWN},
    "padding": tell_padding,
    "looks": looks,
    "controls": controls,
}
"""What takes no model, by the command: told of so many replications and a seed, and kept or not."""


def main() -> None:
    """Tell what the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("command", choices=(*OF_A_MODEL, *MADE_UP))
    fewer = "rates", "samples", "judges"
    options.add_argument("--replications", type=int, help=f"1000; {truth_rates.DRAWS} of {', '.join(fewer)}")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--quick", action="store_true", help="few questions and replications; keeps nothing")
    asked = options.parse_args()
    usual = truth_rates.DRAWS if asked.command in fewer else 1000
    replications = 40 if asked.quick else asked.replications or usual
    if asked.command in MADE_UP:
        MADE_UP[asked.command](replications, asked.seed, not asked.quick)
    else:
        of_model(asked.command, replications, asked.seed, asked.quick)


def of_model(command: str, replications: int, seed: int, quick: bool) -> None:
    """Plant in a model, measure, draw, judge, and tell."""
    tried = COMPOSITION if command == "composition" else PLANTED
    with TemporaryDirectory() as folder:
        with CONSOLE.status("measuring the population"):
            world = World(Path(folder) / "world", seed, 60 if quick else TEMPLATES)
            population = Population(world, Store(Path(folder) / "store"), tried)
        size = len(population.scene.probes)
        CONSOLE.print(f"seed {seed}, {replications} replications, drawn from {size} questions")
        if tried is PLANTED:
            planted(population, world)
        tell(command, replicated(population, replications, seed), keep=not quick)


if __name__ == "__main__":
    main()
