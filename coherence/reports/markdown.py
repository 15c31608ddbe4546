"""Markdown for the page of a CI run: worst first, within a size, and no text of a model comes alive."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from coherence.files import replace_file
from coherence.reports.adjustment import cost
from coherence.reports.controls import controls
from coherence.reports.grounds import explain
from coherence.reports.order import worst_first
from coherence.reports.plain import clipped, one_line, rendered, visible
from coherence.reports.red import likely_cause, run_in_a_sentence
from coherence.reports.reproduce import command
from coherence.reports.since_baseline import changes_table, verdict, worth_showing
from coherence.reports.terminal import counts
from coherence.results import AssertionResult, Results

# GitHub drops a summary of more than 1 MiB as a whole.
MOST_BYTES = 1_000_000
# GitHub takes 65,536 characters, GitLab more.
_COMMENT_BYTES = 60_000
COMMENT_MARK = "<!-- persona coherence -->"
_EXPLAINED_BYTES = 4000
_REMARKS_BYTES = 10_000
_COMPARED_BYTES = 100_000
_CONTROLS_BYTES = 100_000


def write_markdown(results: Results, path: Path) -> None:
    """Write the summary. Of the file that GitHub names it becomes the end: others may write there as well."""
    shared = os.environ.get("GITHUB_STEP_SUMMARY")
    before = path.read_bytes() if shared and path == Path(shared).absolute() and path.exists() else b""
    replace_file(path, before + markdown(results, MOST_BYTES - len(before)).encode())


def write_comment(results: Results, path: Path) -> None:
    """Write the summary as short as a comment on a pull request may be, with a mark to find it by."""
    replace_file(path, f"{COMMENT_MARK}\n{markdown(results, _COMMENT_BYTES)}".encode())


def markdown(results: Results, most: int = MOST_BYTES) -> str:
    """Say in a sentence what the run came to, and lay out what it rests on.

    Below are remarks, changes since the baseline, verdicts, how to run it again, red evidence and controls.
    At most `most` bytes of UTF-8, down to heading and sentence, which are always there. What is left out is
    counted.
    """
    ordered = worst_first(results.assertions)
    red = [result for result in ordered if not result.green]
    text = f"## coherence\n\n{run_in_a_sentence(results, code)}\n\n{counts(results)}\n\n"
    remarks = _remarks(results)
    text += remarks if len((text + remarks).encode()) <= most else ""
    if results.comparison:
        text += f"{_compared(results)}\n"
    rows = _fitting(ordered, _row, (most - len(text.encode())) // 2)
    text += "\n".join(["| assertion | verdict | what was found |", "| --- | --- | --- |", *rows, ""])
    again = _cost(results) + _again(results)
    text += again if len((text + again).encode()) <= most else ""
    if red:
        text += "\n".join(["", *_fitting(red, _evidence, most - len(text.encode()))])
    held = _controls(results)
    return text + held if len((text + held).encode()) <= most else text


def code(text: str) -> str:
    """Make a code span of one line, for a table too: no markup, link or mention works in it."""
    content = re.sub(r"(\\*)\|", lambda match: match[1] * 2 + r"\|", one_line(text))
    fence = "`" * (1 + _longest(content))
    pad = " " if content.startswith("`") or content.endswith("`") or not content else ""
    return f"{fence}{pad}{content}{pad}{fence}"


def block(text: str) -> str:
    """Make a code block of several lines. The text must be `visible`."""
    fence = "`" * max(3, 1 + _longest(text))
    return f"{fence}text\n{text}\n{fence}\n"


def _longest(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _row(result: AssertionResult) -> str:
    mark = "" if result.green else " :x:"
    shown = code(result.sentence if result.green else result.seen or result.sentence)
    cause = likely_cause(result)
    likely = f"<br>likely cause: {code(cause)}" if cause else ""
    return f"| {code(result.id)} | {result.outcome}{mark} | {shown}{likely} |"


def _evidence(result: AssertionResult) -> str:
    shown = block(clipped(explain(result), _EXPLAINED_BYTES))
    return f"#### {code(result.id)}\n\n<details><summary>evidence</summary>\n\n{shown}\n</details>\n"


def _remarks(results: Results) -> str:
    remarks = clipped("\n".join(map(one_line, results.remarks)), _REMARKS_BYTES)
    return f"Of the artefacts:\n\n{block(remarks)}\n" if remarks else ""


def _cost(results: Results) -> str:
    lines = "\n".join(map(one_line, cost(results)))
    return f"\n{block(lines)}" if lines else ""


def _again(results: Results) -> str:
    commit = f"commit {code(results.commit)}, " if results.commit else ""
    text = f"{commit}seed {results.seed}; to run it again:\n\n{block(visible(command(results)))}"
    return f"\n<details><summary>provenance</summary>\n\n{text}\n</details>\n"


def _controls(results: Results) -> str:
    if not (shown := clipped(controls(results, 120, ascii_only=True), _CONTROLS_BYTES)):
        return ""
    return f"\n<details><summary>controls, none of which may pass</summary>\n\n{block(shown)}\n</details>\n"


def _compared(results: Results) -> str:
    comparison = results.comparison
    assert comparison is not None
    shown = worth_showing(comparison)
    table = clipped(rendered(changes_table(shown), 120), _COMPARED_BYTES) if shown else ""
    notes = "\n".join(map(one_line, comparison.notes))
    text = "\n\n".join(part for part in (verdict(comparison), notes, table) if part)
    return block(text)


def _fitting(
    results: Iterable[AssertionResult], shown: Callable[[AssertionResult], str], most: int
) -> Iterator[str]:
    """Show as many as fit, and count the others."""
    left, waiting = most - 100, list(results)
    for index, result in enumerate(waiting):
        text = shown(result)
        left -= len(text.encode()) + 1
        if left < 0:
            cut = f"{len(waiting) - index} of {len(waiting)} assertions"
            yield f"\n{cut} are left out here: see the results document\n"
            return
        yield text
