"""Controls beside the claim: what each of them comes to, what the persona does, and what was expected."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.box import ASCII, SIMPLE_HEAD, Box

from coherence.reports.fitted_table import FittedTable
from coherence.reports.plain import cell, rendered, table
from coherence.results import AssertionResult, Results
from coherence.vocabulary import Control, Criterion, Evidence

_COLUMNS = ("statistic, and what is in its place", "value", "expected", "verdict")
_WHOLE = ("verdict",)


@dataclass(frozen=True)
class Beside:
    """A criterion that a control was judged by, beside the claim's own; none where it was not measured."""

    control: Control
    criterion: Criterion | None
    own: Criterion | None

    @property
    def verdict(self) -> str:
        """The control's, at the criterion that decided it; `met` at the others, all of which it passes."""
        return str(self.control.verdict) if self.criterion is self.control.criterion else "met"

    @property
    def cells(self) -> tuple[str, ...]:
        """What a table says of it below the claim's own criterion."""
        if self.criterion is None:
            return self.control.name, f"not measured: {self.control.problem}", "", self.verdict
        estimate = self.criterion.estimate
        alike = self.own is not None and self.own.estimate.name == estimate.name
        name = self.control.name if alike else f"{self.control.name}, {estimate.name}"
        if self.own is not None and estimate.n < self.own.estimate.n:
            name = f"{name}, first {estimate.n} {estimate.of}"
        return name, estimate.spread, self.criterion.threshold, self.verdict


def beside(evidence: Evidence) -> Iterator[Beside]:
    """Yield every criterion of every control, in the order of the claim."""
    for control in evidence.controls:
        for criterion in control.criteria:
            yield Beside(control, criterion, evidence.own(criterion))
        if control.criterion is None:
            yield Beside(control, None, None)


def controls_table(evidence: Evidence) -> FittedTable:
    """Show what stood in the persona's place, and how near to passing it came."""
    shown = table(*_COLUMNS, whole=_WHOLE)
    for row in _rows(evidence):
        shown.add_row(*map(cell, row))
    return shown


def controls(results: Results, width: int, color: bool = False, ascii_only: bool = False) -> str:
    """Show those of every claim of a run, below its name; empty where there are none."""
    if not any(map(_held, results.assertions)):
        return ""
    shown = rendered(_all(results, ASCII if ascii_only else SIMPLE_HEAD), width, color)
    return shown.encode("ascii", "backslashreplace").decode() if ascii_only else shown


def _all(results: Results, box: Box) -> FittedTable:
    shown = table(*_COLUMNS, whole=_WHOLE, box=box)
    shown.collapse_padding = True
    held = results.model_copy(update={"assertions": tuple(filter(_held, results.assertions))})
    for persona, assertions in held.by_persona().items():
        shown.add_row(cell(persona, "bold"))
        for result in assertions:
            assert result.evidence is not None
            shown.add_row(cell(f"  {result.id.removeprefix(f'{persona}.')}"))
            for name, *others in _rows(result.evidence):
                shown.add_row(cell(f"    {name}"), *map(cell, others))
    return shown


def _held(result: AssertionResult) -> bool:
    return result.evidence is not None and bool(result.evidence.controls)


def _rows(evidence: Evidence) -> Iterator[tuple[str, ...]]:
    """Yield the claim's own criteria, each with the controls that were judged by it below it."""
    held = list(beside(evidence))
    for own in (*evidence.criteria, None):
        below = [row.cells for row in held if row.own is own]
        if own and below:
            yield own.estimate.name, own.estimate.spread, own.threshold, str(own.verdict)
        for name, *others in below:
            yield (f"  {name}", *others)
