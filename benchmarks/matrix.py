"""What was judged, as a document, tables and a picture: `python benchmarks/matrix.py` draws it again."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, takewhile
from pathlib import Path
from xml.sax.saxutils import escape

from rounds import table
from scipy.stats import binomtest
from work import ROOT

from coherence.files import replace_file

RESULTS = ROOT / "benchmarks" / "results" / "faults.json"
PAGE, PICTURE = ROOT / "docs" / "faults.md", ROOT / "docs" / "faults.svg"
BEGIN, END = "<!-- begin: python benchmarks/faults.py -->", "<!-- end -->"

COLOURS = {
    "collinearity": "#9ecae9",
    "markers": "#ffbf79",
    "commutativity": "#88d27a",
    "attractor": "#d6a5c9",
    "space": "#f2cf5b",
    "refused": "#bab0ac",
}
"""By what was not green: a family, or a property of persona space; `refused` was not measured or loaded."""


@dataclass(frozen=True)
class Row:
    """One judged release. `red` are ids of assertions that the good release meets and this one does not.

    They are by family, and those of persona space by property.

    `digest` is that of all that its verdict may depend on, `commit` the one at which it was judged.
    """

    digest: str
    kind: str
    name: str
    carrier: str
    size: str
    red: Mapping[str, Sequence[str]]
    said: str
    judged: int
    seconds: float
    commit: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What was judged, whatever has changed since then."""
        return self.kind, self.name, self.size

    @property
    def stopped(self) -> bool:
        """Whether the gate was closed."""
        return bool(self.red)

    @property
    def outcome(self) -> str:
        """Say whether the gate did what it should."""
        return (
            ("missed", "caught")[self.stopped]
            if self.kind == "fault"
            else ("passes", "BLOCKED")[self.stopped]
        )

    @property
    def by(self) -> str:
        """What was not green, with the number of assertions."""
        return ", ".join(f"{family} {len(ids)}" for family, ids in self.red.items())


@dataclass
class Matrix:
    """All rows of a run, in their order, and what they were judged with."""

    about: dict[str, str]
    rows: list[Row] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, about: dict[str, str]) -> "Matrix":
        """Read what an earlier run left; nothing, if there was none."""
        held = json.loads(path.read_text())["rows"] if path.exists() else []
        return cls(about, [Row(**row) for row in held])

    def write(self, path: Path) -> None:
        """Write the document whole."""
        replace_file(path, json.dumps(asdict(self), indent=1).encode())

    def of(self, kind: str) -> list[Row]:
        """Rows of faults, or healthy ones."""
        return [row for row in self.rows if row.kind == kind]

    @property
    def commits(self) -> dict[str, int]:
        """How many rows each commit judged."""
        return dict(Counter(row.commit for row in self.rows))

    def put(self, row: Row) -> None:
        """Put a row in the place of the one that was judged before, if there is one, else at the end."""
        place = next((at for at, one in enumerate(self.rows) if one.key == row.key), len(self.rows))
        self.rows[place : place + 1] = [row]

    @property
    def faults(self) -> list[list[Row]]:
        """The judged sizes of each fault, from the smallest to the full one."""
        return [list(rows) for _, rows in groupby(self.of("fault"), key=lambda row: row.name)]


def smallest(rows: Sequence[Row]) -> str:
    """Name the smallest size from which on every larger one was caught."""
    caught = list(takewhile(lambda row: row.stopped, reversed(rows)))
    return caught[-1].size if caught else "not caught"


def share(count: int, of: int) -> str:
    """Say a rate with its Wilson interval."""
    if not of:
        return "none judged"
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return f"{count} of {of}, {count / of:.1%} [{interval.low:.1%}, {interval.high:.1%}]"


def totals(matrix: Matrix) -> list[tuple[str, str]]:
    """Count what was caught and what was blocked."""
    faulty, healthy, full = matrix.of("fault"), matrix.of("healthy"), [rows[-1] for rows in matrix.faults]
    return [
        ("faulty releases caught", _stopped(faulty)),
        ("full-size faults caught", _stopped(full)),
        ("healthy runs blocked", _stopped(healthy)),
        ("releases judged", str(len(matrix.rows))),
        ("minutes", f"{sum(row.seconds for row in matrix.rows) / 60:.0f}"),
        ("judged at commits", ", ".join(f"{commit} ({rows})" for commit, rows in matrix.commits.items())),
        *matrix.about.items(),
    ]


def _stopped(rows: Sequence[Row]) -> str:
    return share(sum(row.stopped for row in rows), len(rows))


FAULT_COLUMNS = ("fault", "carried by", "size", "verdict", "not green")
HEALTHY_COLUMNS = ("healthy variant", "runs", "blocked", "not green")
LEAST_COLUMNS = ("fault", "full size", "smallest caught")


def fault_lines(matrix: Matrix) -> list[tuple[str, ...]]:
    """One line for each fault and size."""
    return [(row.name, row.carrier, row.size, row.outcome, row.by) for row in matrix.of("fault")]


def healthy_lines(matrix: Matrix) -> list[tuple[str, ...]]:
    """One line for each variant, over all of its runs."""
    grouped: dict[str, list[Row]] = {}
    for row in matrix.of("healthy"):
        grouped.setdefault(row.name, []).append(row)
    return [
        (
            name,
            str(len(rows)),
            str(sum(row.stopped for row in rows)),
            "; ".join(row.by for row in rows if row.red),
        )
        for name, rows in grouped.items()
    ]


def least_lines(matrix: Matrix) -> list[tuple[str, ...]]:
    """One line for each fault: from which size on it is caught."""
    return [(rows[-1].name, rows[-1].size, smallest(rows)) for rows in matrix.faults]


def show(matrix: Matrix) -> None:
    """Print the tables."""
    table("Planted faults", FAULT_COLUMNS, fault_lines(matrix))
    table("Smallest sizes", LEAST_COLUMNS, least_lines(matrix))
    table("Healthy variants", HEALTHY_COLUMNS, healthy_lines(matrix))
    table("Totals", ("", ""), totals(matrix))


def publish(matrix: Matrix) -> None:
    """Write the picture, and the tables into the page."""
    PICTURE.write_text(picture(matrix))
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{_page(matrix)}\n{END}{after}")


def _page(matrix: Matrix) -> str:
    missed = [f"- {row.name}, {row.size}" for row in matrix.of("fault") if not row.stopped]
    blocked = [f"- {row.name}: {row.said}" for row in matrix.of("healthy") if row.stopped]
    return "\n".join(
        [
            _markdown(("", ""), totals(matrix)),
            "## Smallest sizes\n",
            _markdown(LEAST_COLUMNS, least_lines(matrix)),
            "## Not caught\n",
            *(missed or ["Nothing that was judged."]),
            "\n## Every fault and size\n",
            _markdown(FAULT_COLUMNS, fault_lines(matrix)),
            "## Healthy variants\n",
            _markdown(HEALTHY_COLUMNS, healthy_lines(matrix)),
            *(["Blocked, by the first assertion that was not green:\n", *blocked, ""] if blocked else []),
        ]
    )


def _markdown(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)


_NAMES, _CELL, _LINE, _TOP = 300, 96, 24, 34


def picture(matrix: Matrix) -> str:
    """Draw a heat map as SVG: a line for each fault, full size at the right, coloured by what caught it."""
    faults = matrix.faults
    most = max((len(rows) for rows in faults), default=1)
    width, height = _NAMES + most * _CELL + 10, _TOP + len(faults) * _LINE + 40
    drawn = [_text(_NAMES + most * _CELL - _CELL / 2, 20, "full size", "middle")]
    for index, rows in enumerate(faults):
        y = _TOP + index * _LINE
        drawn.append(_text(_NAMES - 8, y + 16, rows[0].name, "end"))
        for place, row in enumerate(rows, start=most - len(rows)):
            drawn += _cell(_NAMES + place * _CELL, y, row)
    drawn += _legend(height - 14)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _cell(x: float, y: float, row: Row) -> list[str]:
    wide = (_CELL - 4) / max(1, len(row.red))
    stripes = [
        _box(
            x + 2 + index * wide,
            y + 2,
            wide,
            f'fill="{COLOURS.get(family, COLOURS["space"])}"',
            f"{row.name}, {row.size}: {row.by}",
        )
        for index, family in enumerate(row.red)
    ]
    missed = 'fill="#fff" stroke="#c22" stroke-dasharray="3 2"'
    return [
        *(stripes or [_box(x + 2, y + 2, wide, missed, f"{row.name}, {row.size}: missed")]),
        _text(x + _CELL / 2, y + 16, row.size, "middle"),
    ]


def _legend(y: float) -> list[str]:
    keys = [
        *((name, f'fill="{colour}"') for name, colour in COLOURS.items()),
        ("missed", 'fill="#fff" stroke="#c22"'),
    ]
    return [
        part
        for index, (name, look) in enumerate(keys)
        for part in (
            f'<rect x="{20 + index * 115}" y="{y - 11}" width="14" height="14" {look}/>',
            _text(40 + index * 115, y, name, "start"),
        )
    ]


def _box(x: float, y: float, width: float, look: str, title: str) -> str:
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_LINE - 4}"'
    return f"<rect {size} {look}><title>{escape(title)}</title></rect>"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    found = json.loads(RESULTS.read_text())
    drawn = Matrix.read(RESULTS, found["about"])
    show(drawn)
    publish(drawn)
