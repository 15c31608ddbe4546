"""What a reader of a red build needs first: what was seen, its likely cause, and where to look closer."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from coherence.errors import listed
from coherence.reports.order import worst_first
from coherence.results import AssertionResult, Results

DOCUMENT = Path("coherence-results.json")
"""Where commands look for the results of a run by themselves."""

_NAMED = 3


def likely_cause(result: AssertionResult) -> str | None:
    """Say why a result is likely red, and what to do where that is known; None of a green one."""
    if result.cause and not result.green:
        return f"{result.likely_cause}; {result.cause.remedy}"
    return result.likely_cause


def look_closer(result: AssertionResult, document: Path = DOCUMENT) -> str:
    """Return the command that shows more, as a shell reads it: a replay where there is a counterexample."""
    return result.replay or explained_by(result, document)


def explained_by(result: AssertionResult, document: Path = DOCUMENT) -> str:
    """Return the command that shows what the results in `document` have of it and what that means."""
    where = [] if document == DOCUMENT else [str(document)]
    return shlex.join(["coherence", "explain", result.id, *where])


def told_first(result: AssertionResult) -> str:
    """Say in one line what was seen and, of a red one, why that likely is."""
    cause = likely_cause(result)
    return f"{result.headline}; likely cause: {cause}" if cause else result.headline


def run_in_a_sentence(results: Results, quoted: Callable[[str], str] = str) -> str:
    """Say what a run came to in one sentence: how many are not as expected, and what explains them.

    `quoted` is applied to all that suites and models wrote.
    """
    judged = len(results.assertions)
    if not judged:
        return "Nothing was evaluated."
    red = [result for result in worst_first(results.assertions) if not result.green]
    if not red:
        return f"{'The one assertion is' if judged == 1 else f'All {judged} are'} as expected{_but(results)}."
    counted = f"{len(red)} of {judged} assertions {_is(len(red))} not as expected"
    return f"{counted}{_because(red, quoted)}."


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _but(results: Results) -> str:
    """Name what a green run has beside its verdicts."""
    tolerated = sum(result.tolerated for result in results.assertions)
    worse = len(results.comparison.failing) if results.comparison else 0
    beside = f", {tolerated} of them tolerated" if tolerated else ""
    if worse:
        beside += f", and {worse} {'criterion' if worse == 1 else 'criteria'} {_is(worse)} worse than before"
    return beside


def _because(red: Sequence[AssertionResult], quoted: Callable[[str], str]) -> str:
    """Name the cause of the worst, what it explains and what follows from it, or say what was seen."""
    first = red[0]
    if first.cause is None:
        return f"; the first: {quoted(told_first(first))}"
    explained = {result.id: result.cause for result in red if result.cause}
    of_it = {name: cause for name, cause in explained.items() if cause.sentence == first.cause.sentence}
    following = [name for name, cause in of_it.items() if cause.follows]
    own = [name for name in of_it if name not in following]
    because = f", likely because {quoted(first.cause.sentence)}: {_listed(own or following, quoted)}"
    if own and following:
        verb = "follows" if len(following) == 1 else "follow"
        because += f"; {_listed(following, quoted)} {verb} from it"
    if others := len(red) - len(of_it):
        because += f"; {others} for other reasons"
    return because


def _listed(names: Sequence[str], quoted: Callable[[str], str]) -> str:
    return listed([quoted(name) for name in names], shown=_NAMED)
