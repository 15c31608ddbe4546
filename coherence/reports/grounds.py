"""What a person reads to believe a verdict, as plain text."""

from collections.abc import Iterator
from itertools import chain
from math import isfinite, isnan
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from coherence.reports.controls import controls_table
from coherence.reports.figure_columns import FigureColumns, columns_of
from coherence.reports.fitted_table import FittedTable
from coherence.reports.plain import cell, excerpt, inert, one_line, rendered, table, visible
from coherence.reports.red import DOCUMENT, likely_cause, look_closer
from coherence.results import AssertionResult
from coherence.vocabulary import Evidence, ProbeNote
from coherence.vocabulary import Table as Numbers
from coherence.vocabulary.evidence import number
from coherence.vocabulary.figures import Column

_ROWS = 10
_PROBES = 5
_TEXT_BYTES = 600


def explain(result: AssertionResult, width: int = 100, document: Path = DOCUMENT) -> str:
    """Put what was seen on the first line, then its likely cause, where to look closer, and the numbers.

    The evidence is below, `width` columns wide; `document` has the results of the run. Control characters and
    the commands of CI runners are written out. A reply or note is cut after 600 bytes, the whole is not.
    """
    head = inert("\n".join(_head(result, document)))
    if result.evidence is None:
        return head
    sections = (Group(Text(f"\n{title}"), content) for title, content in _sections(result.evidence))
    return f"{head}\n{rendered(Group(*sections), width)}"


def _head(result: AssertionResult, document: Path) -> Iterator[str]:
    yield one_line(result.headline)
    if cause := likely_cause(result):
        yield f"likely cause: {one_line(cause)}"
    if not result.green and result.evidence:  # in one line whatever the width, for a shell
        yield f"look closer: {visible(look_closer(result, document))}"
    if result.numbers:
        yield f"in numbers: {one_line(result.numbers)}"
    yield f"stated in {one_line(result.suite)}:{result.line}"
    if result.replay and result.green:
        yield f"replay: {visible(result.replay)}"


def criteria_table(evidence: Evidence) -> FittedTable:
    """Show what decided, a criterion a row."""
    columns = ("estimate", "value", "95 % interval", "expected", "n", "verdict")
    shown = table(*columns, numbers=("value", "n"), whole=("value", "95 % interval", "n"))
    for criterion in evidence.criteria:
        estimate = criterion.estimate
        unknown = isnan(estimate.value)
        interval = "" if unknown else f"[{number(estimate.low)}, {number(estimate.high)}]"
        reason = criterion.unreliable or ("fails alone" if criterion.fails_only_alone else None)
        verdict = f"{criterion.verdict}: {reason}" if reason else criterion.verdict
        row = (estimate.name, number(estimate.value), interval, criterion.threshold, estimate.n, verdict)
        shown.add_row(*map(cell, row))
    return shown


def _sections(evidence: Evidence) -> Iterator[tuple[str, RenderableType]]:
    yield "criteria", criteria_table(evidence)
    if evidence.controls:
        yield "controls, none of which may pass", controls_table(evidence)
    for grid in columns_of(evidence):
        yield one_line(grid.title), _in_numbers(grid)
    if evidence.probes:
        yield _count("worst probes", _PROBES, len(evidence.probes)), _probe_table(evidence.probes[:_PROBES])
    if spoken := next((probe for probe in evidence.probes if probe.replies), None):
        yield (
            f"replies to {one_line(excerpt(spoken.probe, _TEXT_BYTES))}",
            Group(*_side_by_side(spoken.replies)),
        )
    if evidence.notes:
        yield "notes", Group(*map(_text, evidence.notes))
    for numbers in evidence.tables:
        yield one_line(numbers.name), _table_of(numbers)


def _count(title: str, shown: int, available: int) -> str:
    return f"{title} ({shown} of {available})" if shown < available else title


def _in_numbers(grid: FigureColumns) -> FittedTable:
    shown = table("", *grid.names, numbers=grid.names)
    for row in _rows_that_matter(grid):
        values = (column[row] for column in grid.columns)
        shown.add_row(
            cell(grid.rows[row]), *(cell("-" if value is None else number(value)) for value in values)
        )
    return shown


def _table_of(numbers: Numbers) -> FittedTable:
    """Show every cell; columns that are called as the rows are have the rows' numbers instead."""
    square = numbers.columns == numbers.rows
    names = [str(place + 1) for place in range(len(numbers.rows))] if square else numbers.columns
    shown = table("", *names, numbers=tuple(names))
    shown.box, shown.collapse_padding = None, True  # a square of thirteen has just room
    for place, (row, cells) in enumerate(zip(numbers.rows, numbers.cells, strict=True)):
        name = f"{place + 1} {row}" if square else row
        shown.add_row(cell(name), *(cell("-" if value is None else number(value)) for value in cells))
    return shown


def _rows_that_matter(grid: FigureColumns) -> list[int]:
    """Both ends and the extremes of every column, and as many in between as there is room for."""
    last = len(grid.rows) - 1
    if last < _ROWS:
        return list(range(last + 1))
    chosen = dict.fromkeys([0, last, *chain.from_iterable(map(_extremes, grid.columns))])
    spare = max(0, _ROWS - len(chosen))
    between = ((step + 1) * last // (spare + 1) for step in range(spare))
    return sorted(list(dict.fromkeys([*chosen, *between]))[:_ROWS])


def _extremes(column: Column) -> list[int]:
    finite = {row: value for row, value in enumerate(column) if value is not None and isfinite(value)}
    return [max(finite, key=finite.__getitem__), min(finite, key=finite.__getitem__)] if finite else []


def _probe_table(probes: tuple[ProbeNote, ...]) -> FittedTable:
    shown = table("probe", "note")
    for probe in probes:
        shown.add_row(_text(probe.probe), _text(probe.note))
    return shown


def _side_by_side(replies: dict[str, str]) -> Iterator[FittedTable]:
    """Two regimes a table, each in half of the width."""
    regimes = list(replies)
    for first in range(0, len(regimes), 2):
        pair = regimes[first : first + 2]
        shown = table(*pair)
        shown.even = True
        shown.add_row(*(_text(replies[regime]) for regime in pair))
        yield shown


def _text(written: str) -> Text:
    return cell(excerpt(written, _TEXT_BYTES))
