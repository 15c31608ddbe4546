"""The summary at the end of a run: a line an assertion, grouped by persona."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.box import ASCII, SIMPLE_HEAD
from rich.console import Group
from rich.text import Text

from coherence.reports.adjustment import cost
from coherence.reports.fitted_table import FittedTable
from coherence.reports.order import worst_first
from coherence.reports.plain import cell, one_line, rendered, table
from coherence.reports.red import DOCUMENT, explained_by, run_in_a_sentence
from coherence.results import AssertionResult, Results

_STYLES = {
    "pass": "green",
    "fail": "red",
    "inconclusive": "yellow",
    "tolerated": "yellow",
    "error": "bold red",
    "expected fail": "green",
    "unexpected pass": "red",
}

_ROOMY = 96  # columns from which on an interval stands beside its estimate


def summary(
    results: Results, width: int, color: bool, ascii_only: bool = False, document: Path | None = DOCUMENT
) -> str:
    """Show verdicts in a table, remarks on artefacts, what the adjustment cost, and last a line of counts.

    Before that one a red run says in a sentence what explains it, and where to look closer: in `document`,
    if the results are in one. All within `width`.
    """
    remarks = (cell(f"- {one_line(remark)}", "yellow") for remark in results.remarks)
    below = [Text(), *remarks, *map(cell, cost(results)), *_red(results, document), _last_line(results)]
    shown = rendered(Group(_verdicts(results, width, ascii_only), *below), width, color)
    return shown.encode("ascii", "backslashreplace").decode() if ascii_only else shown


def _red(results: Results, document: Path | None) -> Iterator[Text]:
    first = next((one for one in worst_first(results.assertions) if not one.green), None)
    if first is not None:
        yield cell(one_line(run_in_a_sentence(results)), "red")
        if document is not None:
            yield cell(f"look closer: {one_line(explained_by(first, document))}")


def _verdicts(results: Results, width: int, ascii_only: bool) -> FittedTable:
    box = ASCII if ascii_only else SIMPLE_HEAD
    columns = ("assertion", "statistic", "estimate", "expected", "n", "verdict")
    # Half of `expected fail` says another thing.
    shown = table(*columns, numbers=("n",), whole=("estimate", "n", "verdict"), box=box)
    shown.collapse_padding = True
    for persona, assertions in results.by_persona().items():
        shown.add_row(cell(persona, "bold"))
        for assertion in assertions:
            shown.add_row(*_row(assertion, width))
    return shown


def _row(result: AssertionResult, width: int) -> tuple[Text, ...]:
    name = cell(f"  {result.id.removeprefix(f'{result.persona}.')}")
    verdict = cell(_said(result), _STYLES[result.outcome])
    if result.evidence is None:
        return name, cell("not measured"), cell(""), cell(""), cell(""), verdict
    criterion = result.evidence.decisive
    estimate = criterion.estimate
    return (
        name,
        cell(estimate.name),
        cell(estimate.spread if width >= _ROOMY else estimate.spread.replace(" [", "\n[")),
        cell(criterion.threshold),
        cell(estimate.n),
        verdict,
    )


def _said(result: AssertionResult) -> str:
    if result.evidence and result.evidence.passing_control:
        return f"{result.outcome},\nthe control\npasses too"
    differs = result.raw_verdict is not result.verdict
    return f"{result.outcome},\n{result.raw_verdict} alone" if differs else result.outcome


def counts(results: Results) -> str:
    """Count the outcomes of a run, in a line."""
    outcomes = Counter(result.outcome for result in results.assertions)
    if not outcomes:
        return "nothing was evaluated"
    counted = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in _STYLES if outcomes[outcome])
    return f"{counted} in {results.seconds:.1f} s"


def _last_line(results: Results) -> Text:
    green = bool(results.assertions) and all(result.green for result in results.assertions)
    return Text(counts(results), "green" if green else "red")
