"""`coherence report`: any view of stored results."""

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.writing import writing

if TYPE_CHECKING:
    from coherence.results import Results

_WIDTH = 100
_VIEWS = {
    "html": "a report to look at: one HTML file",
    "junit": "a JUnit report of the verdicts",
    "markdown": "a summary in markdown, worst first",
    "comment": "the same as a comment for a pull request, which ci/comment.py posts",
}


def _add(parser: Parser) -> None:
    arguments.add_results(parser)
    for view, what in _VIEWS.items():
        parser.add_argument(f"--{view}", type=Path, metavar="PATH", help=f"write {what}")
    parser.add_argument(
        "--view",
        type=arguments.pair,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="write a view that another package brings; repeatable",
    )
    parser.add_argument(
        "--terminal", action="store_true", help="show the summary; so it is where no file is asked for"
    )
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.reports.views import require_views, write_view
    from coherence.results import Results

    require_views(name for name, _ in options.view)
    results = Results.read(options.results)
    paths: dict[str, Path] = {view: path for view in _VIEWS if (path := getattr(options, view))}
    for view, path in paths.items():
        _write(partial(_writer(view), results), path)
    for name, path in options.view:
        _write(partial(write_view, name, results), Path(path))
    if options.terminal or not (paths or options.view):
        show_summary(results, options.results)
    return Output({**verdicts(results), "written": {**paths, **dict(options.view)}})


def verdicts(results: "Results") -> dict[str, object]:
    """Say to programs what became of a run: whether it is green, and of each assertion its outcome."""
    return {
        "green": results.green,
        "assertions": [
            {
                "id": one.id,
                "suite": one.suite,
                "line": one.line,
                "verdict": one.verdict.value,
                "outcome": one.outcome,
                "green": one.green,
                "sentence": one.sentence,
            }
            for one in results.assertions
        ],
    }


def _writer(view: str) -> "Callable[[Results, Path], None]":
    from coherence.reports.html import write_html
    from coherence.reports.junit import write_junit
    from coherence.reports.markdown import write_comment, write_markdown

    return {"html": write_html, "junit": write_junit, "markdown": write_markdown, "comment": write_comment}[
        view
    ]


def _write(write: Callable[[Path], None], path: Path) -> None:
    with writing(path):
        write(path.absolute())
    print(f"{path} is written")


def show_summary(results: "Results", document: Path | None) -> None:
    """Print the table of verdicts, and the differences from a baseline if there is one.

    `document` is where the results are, if they are in a file.
    """
    from rich.console import Console

    from coherence.reports.since_baseline import compared
    from coherence.reports.terminal import summary

    console = Console()
    width = min(console.width, _WIDTH) if console.is_terminal else _WIDTH
    color = console.is_terminal and not console.no_color
    plain = "utf" not in console.encoding.lower()
    print(summary(results, width, color, ascii_only=plain, document=document))
    if results.comparison:
        print(f"\n{compared(results.comparison, width, color, ascii_only=plain)}")


COMMAND = Command(
    name="report",
    help="render any view of stored results again",
    about="Every report is a view of the results document that `pytest --coherence` writes. Nothing is "
    "measured.",
    example="coherence report coherence-results.json --html report.html --terminal",
    add=_add,
)
