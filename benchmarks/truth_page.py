"""The kept numbers as tables and a picture: `python benchmarks/truth_page.py` writes them again."""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from pathlib import Path

from truth_picture import drawn
from truth_tail import SIZES, Row, cells
from work import ROOT

RESULTS = ROOT / "benchmarks" / "results"
NUMBERS, POWER = RESULTS / "truth.csv", RESULTS / "truth_power.csv"
OF_KL = RESULTS / "truth_tail.csv"
BY_CHANCE = RESULTS / "truth_chance.csv"
PAGE, PICTURE = ROOT / "docs" / "errors.md", ROOT / "docs" / "power.svg"
BEGIN, END = "<!-- begin: python benchmarks/truth.py {} -->", "<!-- end -->"
DRAWN = (
    "composition",
    "samples",
    "effects",
    "classifier",
    "relative",
    "voice",
    "judges",
    "space",
    "anchors",
    "steering",
)
"""Commands that tell how often intervals are wrong, each between marks of its own."""
Line = Mapping[str, str]


def kept(command: str) -> Path:
    """Find where a whole run of a command keeps its numbers."""
    return RESULTS / f"truth_{command}.csv"


def write() -> None:
    """Put the tables between the page's marks, and draw the curves."""
    _put("all", NUMBERS)
    curves: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in _read(POWER):
        curves[row["estimate"], row["probes"]][int(row["n"])] = float(row["decided"])
    PICTURE.write_text(drawn(curves))


def write_kl() -> None:
    """Put the table of means and ratios of KL between marks of their own."""
    rows = [Row.of(line) for line in _read(OF_KL)]
    lines = [["KL", "interval of the", *map(str, SIZES)], ["---"] * (2 + len(SIZES))]
    lines += [[*names, *by_size.values()] for names, by_size in cells(rows).items()]
    said = (
        "Intervals wholly below / above the truth in percent (and their median upper end, in units of the "
        f"truth), over the number of probes; {rows[0].replications} replications:"
    )
    _between("kl", said, "\n".join(f"| {' | '.join(line)} |" for line in lines))


def write_rates() -> None:
    """Put the tables of made-up replies between marks of their own."""
    _put("rates", kept("rates"))
    lines = [["rate of both", "probes", "kappa is judged", "and passes"], ["---"] * 4]
    for row in _read(BY_CHANCE):
        lines.append([row["rate"], row["n"], *(f"{float(row[share]):.1%}" for share in ("judged", "passed"))])
    _between("rates, by chance", "\n".join(f"| {' | '.join(line)} |" for line in lines))


def write_drawn(command: str) -> None:
    """Put the tables of what a command made up between marks of their own."""
    _put(command, kept(command))


def write_padding() -> None:
    """Put what many claims cost one between marks of their own."""
    rows = _read(kept("padding"))
    suites = list(dict.fromkeys(row["suite"] for row in rows))
    effects = [effect for effect in dict.fromkeys(row["effect"] for row in rows) if effect != "healthy"]
    heads = [["fault", "red at all", *suites], ["---"] * (2 + len(suites))]
    faults = [
        [effect, *_shares(rows, "alone", effect, suites[:1]), *_shares(rows, "fails", effect, suites)]
        for effect in effects
    ]
    evenly = [
        [f"{effect}, divided evenly", "", *_shares(rows, "evenly", effect, suites)] for effect in effects
    ]
    alarms = [["none", *_shares(rows, "healthy_fails", "healthy", suites)]]
    alarms += [[effect, *_shares(rows, "healthy_fails", effect, suites)] for effect in effects]
    _between(
        "padding",
        "Runs in percent in which the faulty assertion is a `fail`, by how many assertions there are, "
        f"{rows[0]['replications']} replications:",
        _lines([*heads, *faults, *evenly]),
        "Runs in percent in which anything healthy is a `fail` (stated: at most 5):",
        _lines([["fault", *suites], ["---"] * (1 + len(suites)), *alarms]),
    )


def write_looks() -> None:
    """Put what interim looks pass, cost and save between marks of their own."""
    rows = _read(kept("looks"))
    cells = {(row["sample"], row["n"], row["looks"], row["bound"]): row for row in rows}
    heads = [
        ["sample", "probes", "looks before the last", "passes at the truth", "with 95 % at each look"],
        ["passes as calibrated", "probes", "passes where clear", "probes"],
    ]
    lines = [[*heads[0], *heads[1]], ["---"] * 9]
    for sample, n, looks in dict.fromkeys((row["sample"], row["n"], row["looks"]) for row in rows):
        truth, calibrated, clear = (
            cells[sample, n, looks, bound] for bound in ("at the truth", "as calibrated", "clear")
        )
        told = [f"{100 * float(truth[share]):.1f}" for share in ("passes", "each")]
        for row in (calibrated, clear):
            told += [f"{100 * float(row['passes']):.1f}", f"{float(row['probes']):.1f}"]
        lines.append([sample, n, looks, *told])
    said = f"Passes in percent, and probes measured on average; {rows[0]['replications']} replications:"
    _between("looks", said, _lines(lines))


def write_controls() -> None:
    """Put what looks at controls err by and save between marks of their own."""
    rows = _read(kept("controls"))
    places = list(dict.fromkeys(row["truth"] for row in rows))
    cells = {(row["sample"], row["n"], row["truth"]): row for row in rows}
    lines = [["sample", "probes", *places], ["---"] * (2 + len(places))]
    for sample, n in dict.fromkeys((row["sample"], row["n"]) for row in rows):
        told = (cells[sample, n, place] for place in places)
        lines.append([sample, n, *map(_passing, told)])
    said = (
        "Controls in percent that pass by all probes, that pass where they are looked at, and probes "
        "measured on average, by where the truth is, in standard errors of all probes; "
        f"{rows[0]['replications']} replications:"
    )
    _between("controls", said, _lines(lines))


def _passing(row: Line) -> str:
    by_all, looked = (100 * float(row[share]) for share in ("passes_by_all", "passes"))
    return f"{by_all:.1f}, {looked:.1f}; {float(row['probes']):.1f}"


def _shares(rows: Iterable[Line], column: str, effect: str, suites: Iterable[str]) -> list[str]:
    found = {row["suite"]: float(row[column]) for row in rows if row["effect"] == effect}
    return [f"{100 * found[suite]:.1f}" for suite in suites]


def _put(command: str, numbers: Path) -> None:
    rows = [row for row in _read(numbers) if "plain cosine" not in row["estimate"]]
    replications = max(int(row["replications"]) for row in rows)
    drawn = f"{replications} replications, Monte-Carlo error {100 * sqrt(0.05 * 0.95 / replications):.1f}"
    _between(
        command,
        f"Coverage of the 95 % intervals in percent, {drawn}:",
        _table(rows, lambda row: 100 * float(row["covered"])),
        "Intervals wholly below the truth in percent, which are false alarms of 'at least' (stated: 2.5):",
        _table(rows, lambda row: 100 * float(row["too_low"])),
        "Intervals wholly above it, which are false alarms of 'at most' and false passes of 'at least':",
        _table(rows, lambda row: 100 * float(row["too_high"])),
    )


def _between(command: str, *parts: str) -> None:
    begin = BEGIN.format(command)
    before, rest = PAGE.read_text().split(begin)
    PAGE.write_text("\n\n".join((before + begin, *parts, END)) + rest.split(END, 1)[1])


def _read(path: Path) -> list[Line]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _table(rows: Iterable[Line], number: Callable[[Line], float]) -> str:
    """Lines by estimate, columns by probes; the range over personas and regimes where there are several."""
    cells: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        who, measure = row["estimate"].split(": ", 1)
        column = f"{row['n']} {row['probes']}"
        cells[f"{who.split()[0]}: {measure}"][column].append(number(row))
    columns = list(dict.fromkeys(column for line in cells.values() for column in line))
    lines = [["estimate", *columns], ["---"] * (1 + len(columns))]
    lines += [[name, *(_range(line[column]) for column in columns)] for name, line in cells.items()]
    return _lines(lines)


def _lines(lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _range(numbers: Iterable[float]) -> str:
    ends = [f"{end(numbers):.1f}" for end in (min, max)] if numbers else []
    return " to ".join(dict.fromkeys(ends))


if __name__ == "__main__":
    write()
    write_kl()
    write_rates()
    for command in DRAWN:
        write_drawn(command)
    write_padding()
    write_looks()
    write_controls()
