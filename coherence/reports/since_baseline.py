"""What changed since the baseline, a criterion a line; what is level is only counted."""

from rich.box import ASCII, SIMPLE_HEAD, Box
from rich.console import Group
from rich.text import Text

from coherence.reports.fitted_table import FittedTable
from coherence.reports.plain import cell, one_line, rendered, table
from coherence.vocabulary import Change, Comparison
from coherence.vocabulary.evidence import number

_MOST = 40
_COLUMNS = ("assertion", "statistic", "baseline", "now", "difference", "change")
_STYLES = {
    "regressed": "red",
    "vanished": "yellow",
    "unclear": "yellow",
    "improved": "green",
    "appeared": "",
    "level": "",
}


def compared(comparison: Comparison, width: int, color: bool = False, ascii_only: bool = False) -> str:
    """Show the worst changes and, in the last line, the counts of all; no line is wider than `width`."""
    shown = worth_showing(comparison)
    parts = [changes_table(shown[:_MOST], ASCII if ascii_only else SIMPLE_HEAD)] if shown else []
    more = [cell(f"{len(shown) - _MOST} more are in the results document")] if len(shown) > _MOST else []
    notes = [cell(one_line(note)) for note in comparison.notes]
    style = "red" if comparison.failing else "green"
    text = rendered(Group(*parts, *more, *notes, Text(verdict(comparison), style)), width, color)
    return text.encode("ascii", "backslashreplace").decode() if ascii_only else text


def worth_showing(comparison: Comparison) -> list[Change]:
    """All but what is level, also by itself."""
    return [change for change in comparison.changes if (change.kind, change.alone) != ("level", "level")]


def verdict(comparison: Comparison) -> str:
    """Say in a line what changed, and whether it fails the run."""
    failing = len(comparison.failing)
    fails = f": {failing} {'fails' if failing == 1 else 'fail'} the run" if failing else ""
    return one_line(f"{comparison.sentence}{fails}")


def changes_table(changes: list[Change], box: Box = ASCII) -> FittedTable:
    """Show a change a row."""
    shown = table(*_COLUMNS, numbers=("baseline", "now"), whole=("baseline", "now"), box=box)
    for change in changes:
        shown.add_row(
            cell(change.assertion),
            cell(change.statistic),
            *(cell("" if value is None else number(value)) for value in (change.before, change.now)),
            cell(_difference(change)),
            cell(change.said, _STYLES[change.alone]),
        )
    return shown


def _difference(change: Change) -> str:
    if change.difference is None:
        return ""
    parts = [str(change.difference)]
    parts += ["from the middle"] if change.difference.of == "distance" else []
    parts += [] if change.difference.paired else ["unpaired"]
    return ", ".join(parts)
