"""How pytest repeats failed assertions at its end: in the order of the reports, with all that was seen."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import pytest

from coherence.results import AssertionResult

_Shown: TypeAlias = list[pytest.TestReport | pytest.CollectReport]

# pytest takes what is in brackets for parameters of an id.
_UNBRACKETED = str.maketrans("[]", "()")


def in_order(reporter: pytest.TerminalReporter, places: Mapping[str, int]) -> None:
    """Have pytest show what failed in the order of `places`, by node id; others stay where they are."""
    for shown in _failed(reporter):
        slots = [slot for slot, report in enumerate(shown) if report.nodeid in places]
        ordered = sorted((shown[slot] for slot in slots), key=lambda report: places[report.nodeid])
        for slot, report in zip(slots, ordered, strict=True):
            shown[slot] = report


def in_full(reporter: pytest.TerminalReporter, results: Mapping[str, AssertionResult]) -> None:
    """Have the lines FAILED and ERROR of assertions end in what was seen, however narrow the terminal is.

    pytest cuts a message at the last column, and leaves it out where the id takes all of the line; an id it
    never cuts. To be called when the failures themselves are shown.
    """
    if reporter.config.option.force_short_summary:
        return
    for shown in _failed(reporter):
        shown[:] = [_in_full(report, results.get(report.nodeid)) for report in shown]


def seen(result: AssertionResult) -> str:
    """Say what was seen behind pytest's own FAILED and the id, and the outcome where it is another one."""
    if result.seen is None:
        return result.sentence
    return result.seen if result.outcome == "fail" else f"{result.outcome}: {result.seen}"


def _failed(reporter: pytest.TerminalReporter) -> Iterator[_Shown]:
    for kind in ("failed", "error"):
        yield reporter.stats.get(kind, [])


def _in_full(
    report: pytest.TestReport | pytest.CollectReport, result: AssertionResult | None
) -> pytest.TestReport | pytest.CollectReport:
    if result is None or not isinstance(report, pytest.TestReport):
        return report
    said = f"{report.nodeid} - {seen(result).translate(_UNBRACKETED)}"
    return pytest.TestReport(said, report.location, report.keywords, report.outcome, None, report.when)
