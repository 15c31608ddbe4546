"""Proposals as a table, and the sentences below it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import ceil, isfinite

from rich.box import Box
from rich.console import Group, RenderableType
from rich.text import Text

from coherence.reports.plain import cell, table
from coherence.thresholds.proposal import ControlEstimate, Proposal, named
from coherence.thresholds.side import decimals, plain
from coherence.vocabulary.evidence import number

WIDTH = 124  # in which neither names nor intervals are folded, unless they are long


def shown(proposals: Sequence[Proposal], box: Box) -> RenderableType:
    """Show every threshold below its entry, then what is to be said of some of them."""
    numbers = "now", "proposed", "margin", "n", "needed"
    columns = "threshold", "now", "proposed", "weakest healthy", "best control", "margin", "n", "needed"
    drawn = table(*columns, numbers=numbers, box=box)
    for entry, group in groupby(proposals, key=lambda proposal: proposal.entry):
        drawn.add_row(cell(f"{entry.name}, line {entry.place.line}", "bold"))
        for proposal in group:
            drawn.add_row(*_row(proposal))
    return Group(drawn, *_sentences(proposals))


def _row(proposal: Proposal) -> Iterator[Text]:
    ranged = len(proposal.entry.numbers(proposal.key)) > 1
    yield cell(f"  {proposal.key} {proposal.side}" if ranged else f"  {proposal.key}")
    yield cell(plain(proposal.current))
    yield cell("-", "yellow") if proposal.proposed is None else cell(_exact(proposal.proposed), "green")
    yield cell(f"{_who(proposal)}\n{proposal.estimate.spread}")
    yield cell(_control(proposal.control) if proposal.control else "none")
    yield cell("-" if proposal.margin is None else number(proposal.margin))
    yield cell(proposal.estimate.n)
    yield cell(ceil(proposal.needed) if isfinite(proposal.needed) else "-")


def _exact(threshold: float) -> str:
    return f"{threshold:.{decimals(threshold)}f}"


def _who(proposal: Proposal) -> str:
    persona, slug = proposal.weakest.split(f".{proposal.entry.name}.")
    slugs = {assertion.case.slug for assertion in proposal.entry.assertions}
    return named(f"{persona} {slug}" if len(slugs) > 1 else persona, proposal.release)


def _control(control: ControlEstimate) -> str:
    persona = named(control.assertion.split(".")[0], control.release)
    return f"{control.who} as {persona}\n{control.estimate.spread}"


def _sentences(proposals: Iterable[Proposal]) -> Iterator[Text]:
    for proposal in proposals:
        for note in proposal.notes:
            yield cell(f"{proposal.key}: {note}")
