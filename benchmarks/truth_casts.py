"""What cosine, strength and margin come to in casts of which the truth is known: their null and their bias.

`python benchmarks/truth_casts.py` plants personas, takes casts of the reference release as well (from the
store, where it was measured), and writes the tables of docs/errors.md.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from rounds import CONSOLE, table
from truth_page import END, PAGE
from work import ROOT

from coherence import open_suite
from coherence.properties.reading import Readings
from coherence.statistics.alignment import Alignment
from coherence.statistics.displacements import Displacements
from coherence.statistics.generic import Generic
from coherence.vocabulary import Position, Regime

Moves = NDArray[np.float64]

BEGIN = "<!-- begin: python benchmarks/truth_casts.py -->"
SIZES = (3, 4, 6, 12)
PROBES, WIDTH = 8, 300
AGREEMENT, GENERIC, SHARED = 0.6, 3.0, 0.8
"""Cosine of a persona's parts over the regimes; length of what any persona does, and its cosine over them."""
NOISE = 0.3
CAST = ("support", "counsel", "oncall", "pirate", "upbeat", "gloomy")
PAIRS = (("prompt", "adapter", range(24, 30)), ("adapter", "steering", range(22, 28)))
"""Regimes of the shipped suite and the depths of its bands."""
DEAD = 0.01
LEAST = {"cosine": 0.2, "margin": 0.1, "strength": 0.1}
"""Thresholds that a dead adapter is held against; the last is the default."""


@dataclass(frozen=True)
class Found:
    """What one cast comes to; NaN where there is no value, or too few personas for a margin."""

    cosine: float
    margin: float
    strength: float
    old_cosine: float
    old_margin: float

    @property
    def passes(self) -> tuple[bool, bool]:
        """Whether it meets the thresholds as they were, and as they are."""
        old = self.old_cosine >= LEAST["cosine"] and self.old_margin >= LEAST["margin"]
        margin = np.isnan(self.margin) or self.margin >= LEAST["margin"]
        return old, self.cosine >= LEAST["cosine"] and margin and self.strength >= LEAST["strength"]


def found(moves: Moves, kin: Sequence[Sequence[int]] | None = None) -> Found:
    """Compare the first persona's regimes, from displacements [regimes, personas, depths, probes, width]."""
    _, personas, _, probes, _ = moves.shape
    names = [str(probe) for probe in range(probes)]
    controls = [[row] for row in range(1, personas)] if kin is None else kin
    rows = {
        (regime, persona): regime * personas + persona for regime in (0, 1) for persona in range(personas)
    }
    means = moves.mean(-2)
    generic = Generic(np.stack([means[:, list(unit)].mean(1) for unit in controls]))
    bare = np.zeros(moves.shape[2:])
    displaced = Displacements(rows, moves.reshape(-1, *moves.shape[2:]), generic, bare, names)
    own = displaced.compared((0, 0), (1, 0))
    foreign = [
        displaced.compared((0, 0), (1, persona), without=unit)
        for unit, several in enumerate(controls)
        for persona in several
        if len(controls) > 2
    ]
    margin = own.lead(foreign).value if foreign else np.nan
    old = _less_the_mean(moves, names)
    return Found(own.cosine().value, margin, own.strength().value, old[0], old[0] - np.nanmax(old[1:]))


def _less_the_mean(moves: Moves, names: Sequence[str]) -> list[float]:
    """Cosines with every persona as they were: less the mean over the cast, the judged one among it."""
    first, second = moves - moves.mean(1, keepdims=True)
    return [Alignment.of(first[0], other, names).cosine().value for other in second]


@dataclass(frozen=True)
class Planted:
    """What is planted: in place of the judged persona's second regime, and how the others are related."""

    name: str
    second: Callable[[Moves, Moves, Moves], Moves] = lambda own, anyone, drawn: anyone + own
    correlated: float = 0.0
    twins: bool = False
    kin: bool = False

    def moves(self, count: int, random: np.random.Generator) -> Moves:
        """Draw a cast."""
        first, other, drawn = _units(random, 3)
        anyone = GENERIC * np.stack([first, SHARED * first + np.sqrt(1 - SHARED**2) * other])
        group = _units(random, 3)[random.integers(3, size=count)]
        own = np.sqrt(self.correlated) * group + np.sqrt(1 - self.correlated) * _units(random, count)
        if self.twins:
            own[1] = 0.95 * own[0] + np.sqrt(1 - 0.95**2) * own[1]
        parts = np.stack([own, AGREEMENT * own + np.sqrt(1 - AGREEMENT**2) * _units(random, count)])
        much = np.exp(0.3 * random.normal(size=(2, count, 1)))
        means = much * anyone[:, None] + parts
        means[1, 0] = self.second(parts[1, 0], much[1, 0] * anyone[1], drawn)
        noise = NOISE * random.normal(size=(2, count, 1, PROBES, WIDTH)) / np.sqrt(WIDTH)
        sizes = np.linalg.norm(means, axis=-1)[:, :, None, None, None]
        moves: Moves = means[:, :, None, None] + noise * sizes
        return moves

    def found(self, count: int, random: np.random.Generator) -> Found:
        """Judge one cast, without the twin among the controls where it is kin."""
        kin = [[row] for row in range(2, count)] if self.kin else None
        return found(self.moves(count, random), kin)


def _units(random: np.random.Generator, count: int) -> Moves:
    # A residual stream has a few large dimensions.
    drawn = random.normal(size=(count, WIDTH)) / np.sqrt(1 + np.arange(WIDTH))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=-1, keepdims=True))


def _scaled(size: float) -> Callable[[Moves, Moves, Moves], Moves]:
    return lambda own, anyone, drawn: size * (anyone + own)


KINDS = (
    Planted("the persona"),
    *(Planted(f"the persona, x {size:g}", _scaled(size)) for size in (2, 0.5, 0.1, DEAD)),
    Planted("a random vector", lambda own, anyone, drawn: 2 * drawn),
    Planted("what any persona does, half", lambda own, anyone, drawn: 0.5 * anyone + 0.3 * drawn),
    Planted("the persona, parts correlated at .4", correlated=0.4),
    Planted("the persona, a twin among the controls", twins=True),
    Planted("the persona, the twin declared as kin", twins=True, kin=True),
)


def planted(casts: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Lines of a table: mean and standard deviation over casts, as it was and as it is."""
    for kind in KINDS:
        for count in SIZES:
            if kind.kin and count < 4:
                continue
            random = np.random.default_rng([seed, count])
            drawn = [kind.found(count, random) for _ in range(casts)]
            spreads = (
                _spread(getattr(one, name) for one in drawn)
                for name in ("old_cosine", "old_margin", "cosine", "margin", "strength")
            )
            yield (kind.name, str(count), *spreads)


def _spread(values: Iterable[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    return f"{np.mean(known):.2f} ({np.std(known):.2f})" if known else "-"


def released() -> tuple[list[tuple[str, ...]], list[str]]:
    """Lines of a table of the reference release's casts, and sentences about dead adapters."""
    suite = open_suite(ROOT / "suites" / "personas.coherence.yaml")
    readings = Readings(suite.scene, Position.PROMPT_LAST)
    lines, said = [], []
    for first, second, depths in PAIRS:
        sides = [
            [suite.scene.condition(name, Regime.parse(regime)) for name in CAST] for regime in (first, second)
        ]
        conditions = [suite.scene.bare, *sides[0], *sides[1]]
        record = suite.measure(reading for each in conditions for reading in readings.of(each))
        moves = np.stack([readings.displaced(record, side, depths)[1] for side in sides]).astype(np.float64)
        lines += [(f"{first}, {second}", *line) for line in _casts(moves)]
        said.append(_dead(moves, f"{first} and {second}"))
    return lines, said


def _casts(moves: Moves) -> Iterator[tuple[str, ...]]:
    for judged, name in enumerate(CAST):
        for count in (3, 6):
            casts = [found(moves[:, [judged, *others]]) for others in _others(judged, count)]
            ranges = (
                _range([getattr(cast, what) for cast in casts])
                for what in ("old_cosine", "cosine", "strength", "old_margin", "margin")
            )
            yield (name, str(count), *ranges)


def _others(judged: int, count: int) -> Iterator[tuple[int, ...]]:
    return combinations([row for row in range(len(CAST)) if row != judged], count - 1)


def _range(values: Sequence[float]) -> str:
    known = [value for value in values if not np.isnan(value)]
    return " to ".join(dict.fromkeys(f"{end(known):.2f}" for end in (min, max))) if known else "-"


def _dead(moves: Moves, regimes: str) -> str:
    passed = []
    for judged in range(len(CAST)):
        for others in _others(judged, 3):
            cast = moves[:, [judged, *others]].copy()
            cast[1, 0] *= DEAD
            passed.append(found(cast).passes)
    old, new = np.sum(passed, axis=0)
    return (
        f"{regimes}: of {len(passed)} casts of three with a second regime at a hundredth, {old} met "
        f"{LEAST['cosine']:g} and {LEAST['margin']:g} as it was; {new} do now."
    )


def _lines(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Plant, take casts of the release, and write both tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--casts", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    made_up = "planted", "personas", "cosine before", "margin before", "cosine", "margin", "strength"
    real = (
        "regimes", "persona", "cast of", "cosine before", "cosine", "strength", "margin before", "margin"
    )  # fmt: skip
    with CONSOLE.status("planting casts"):
        simulated = list(planted(asked.casts, asked.seed))
    lines, said = released()
    table(f"mean (sd) over {asked.casts} casts", made_up, simulated)
    table("the reference release", real, lines)
    before, rest = PAGE.read_text().split(BEGIN)
    parts = (
        before + BEGIN,
        f"Mean (standard deviation) over {asked.casts} casts, seed {asked.seed}:",
        _lines(made_up, simulated),
        "The reference release, from the least to the largest over all casts of that many:",
        _lines(real, lines),
        *said,
        END,
    )
    PAGE.write_text("\n\n".join(parts) + rest.split(END, 1)[1])


if __name__ == "__main__":
    main()
