"""Workflow commands of GitHub Actions, which show a verdict at its line of the suite."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from coherence.reports.order import worst_first
from coherence.reports.plain import one_line
from coherence.reports.red import told_first
from coherence.results import AssertionResult, Results
from coherence.vocabulary import Change


def annotations(results: Results, root: Path) -> Iterator[str]:
    """Yield a command for each verdict that is not green, warns, or regressed since the baseline.

    Worst first, as GitHub shows ten errors and ten warnings of a step. Files are named from `root`, the
    repository's folder.
    """
    for result in worst_first(results.assertions):
        if not result.green:
            yield _command("error", result, root, result.outcome, told_first(result))
        elif result.tolerated:
            yield _command("warning", result, root, result.outcome, told_first(result))
    yield from _changes(results, root)


def _changes(results: Results, root: Path) -> Iterator[str]:
    """One for each assertion, whose first change stands for the others."""
    by_place: dict[tuple[str, str], list[Change]] = {}
    for change in results.comparison.failing if results.comparison else ():
        by_place.setdefault((change.suite, change.assertion), []).append(change)
    judged = {(result.suite, result.id): result for result in results.assertions}
    for place, (first, *others) in by_place.items():
        more = f", and {len(others)} more of its criteria" if others else ""
        if place in judged:
            yield _command("error", judged[place], root, "worse than the baseline", f"{first}{more}")


def _command(level: str, result: AssertionResult, root: Path, outcome: str, message: str) -> str:
    about = {"file": from_root(result.suite, root), "line": result.line, "title": f"{result.id}: {outcome}"}
    return command(level, about, message)


def command(level: str, about: Mapping[str, object], message: str) -> str:
    """Write a workflow command; what it is about (file, line, ...) is left out where it is None."""
    written = ",".join(
        f"{name}={_property(str(value))}" for name, value in about.items() if value is not None
    )
    return f"::{level} {written}::{_data(message)}"


def from_root(suite: str, root: Path) -> str:
    """Name a file from the repository's folder, if it lies there."""
    path = Path(suite).absolute()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else suite


def _data(text: str) -> str:
    return one_line(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
