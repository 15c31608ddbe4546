"""What a reader of a red build needs first: what was seen, its likely cause, and where to look closer."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from coherence.errors import listed
from coherence.reports.order import worst_first
from coherence.results import AssertionResult, Results

_NAMED = 3


def likely_cause(result: AssertionResult) -> str | None:
    """Say why a result is likely red, and what to do where that is known; None of a green one."""
    if result.cause and not result.green:
        return f"{result.likely_cause}; {result.cause.do}"
    return result.likely_cause


def look_closer(result: AssertionResult, document: Path | None = None) -> str:
    """Return the command that shows more, as a shell reads it: a replay where there is a counterexample.

    `document` are the results of the run, where they are not where commands look for them.
    """
    if result.replay:
        return result.replay
    return shlex.join(["coherence", "explain", result.id, *([str(document)] if document else [])])


def told_first(result: AssertionResult) -> str:
    """Say in one line what was seen and, of a red one, why that likely is."""
    cause = likely_cause(result)
    return f"{result.headline}; likely cause: {cause}" if cause else result.headline


def in_a_sentence(results: Results) -> str:
    """Say what a run came to in one sentence: how many are not as expected, and what explains them."""
    judged = len(results.assertions)
    if not judged:
        return "Nothing was evaluated."
    red = [result for result in worst_first(results.assertions) if not result.green]
    if not red:
        return f"{_all(judged)} as expected{_but(results)}."
    counted = f"{len(red)} of {judged} assertions {'is' if len(red) == 1 else 'are'} not as expected"
    return f"{counted}{_because(red)}."


def _all(judged: int) -> str:
    return "The one assertion is" if judged == 1 else f"All {judged} assertions are"


def _but(results: Results) -> str:
    tolerated = sum(result.tolerated for result in results.assertions)
    worse = len(results.comparison.failing) if results.comparison else 0
    parts = [f", {tolerated} of them tolerated"] if tolerated else []
    parts += [f", and {worse} {'criterion is' if worse == 1 else 'criteria are'} worse than the baseline"] * (
        worse > 0
    )
    return "".join(parts)


def _because(red: Sequence[AssertionResult]) -> str:
    """Name the cause of the worst, what it explains and what follows from it, or say what was seen."""
    first = red[0]
    if first.cause is None:
        return f"; first: {told_first(first).rstrip('.')}"
    of_it = [result for result in red if result.cause and result.cause.said == first.cause.said]
    following = [result.id for result in of_it if result.cause and result.cause.follows]
    own = [result.id for result in of_it if result.id not in following]
    parts = [f", likely because {first.cause.said}: {listed(own or following, shown=_NAMED)}"]
    if own and following:
        follow = "follows" if len(following) == 1 else "follow"
        parts.append(f"; {listed(following, shown=_NAMED)} {follow} from it")
    if others := len(red) - len(of_it):
        parts.append(f"; {others} for other reasons")
    return "".join(parts)
