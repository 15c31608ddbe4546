"""`coherence explain`: what a property or an assertion measures, and how to read its verdict."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.errors import CoherenceError, SuiteError, did_you_mean

if TYPE_CHECKING:
    from coherence.results import AssertionResult
    from coherence.suite import Assertion


def _add(parser: Parser) -> None:
    what = parser.add_argument("what", metavar="ID|PROPERTY", help="an assertion's id, or a property's name")
    what.completer = _properties  # type: ignore[attr-defined]
    parser.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="suites with the assertion, or .json results of a run; default: "
        f"{arguments.RESULTS}, where it is",
    )
    parser.set_defaults(run=_run)


def _properties(**_: object) -> list[str]:
    from coherence.explanation import properties

    return list(properties())


def _run(options: Namespace) -> Output:
    from coherence.explanation import of_property

    if options.what in _properties():
        return _show(of_property(options.what))
    files = options.files or [path for path in (arguments.RESULTS,) if path.exists()]
    explained = {name: say for path in files for name, say in _in_file(path).items()}
    if options.what not in explained:
        where = (
            f"in {', '.join(map(str, files))}" if files else f"as there is no {arguments.RESULTS} to look in"
        )
        hint = did_you_mean(options.what, [*explained, *_properties()])
        raise CoherenceError(f"{options.what!r} is no property, and no assertion {where}{hint}")
    return explained[options.what]()


def _in_file(path: Path) -> dict[str, Callable[[], Output]]:
    """Map the assertions of a suite, or of a results document, to what explains them."""
    if path.suffix == ".json":
        from coherence.results import Results

        return {result.id: partial(_explain, result) for result in Results.read(path).assertions}
    return {one.id: partial(_explain_stated, one) for one in _stated(path)}


def _explain_stated(assertion: "Assertion") -> Output:
    from coherence.explanation import of_assertion

    return _show(of_assertion(assertion))


def _stated(path: Path) -> "Sequence[Assertion]":
    from coherence.suite import Overrides, load_suite

    return load_suite(path, Overrides()).assertions


def _explain(result: "AssertionResult") -> Output:
    """Show what was found, then what it means; the suite says the latter, if it is still there."""
    from coherence.explanation import of_property
    from coherence.reports.grounds import explain

    found = explain(result)
    print(f"{found}\n")
    means = Output()
    try:
        stated = {assertion.id: assertion for assertion in _stated(Path(result.suite))}
        means = _explain_stated(stated[result.id])
    except (SuiteError, KeyError) as problem:
        if result.property == "monitor":  # nothing in a suite asks for it
            return Output({"found": found})
        why = "does not state it any more" if isinstance(problem, KeyError) else f"cannot be read: {problem}"
        print(f"the suite {result.suite} {why}\n")
        if result.property and result.property in _properties():
            means = _show(of_property(result.property))
    return Output({"found": found, **means.fields})


def _show(markdown: str) -> Output:
    """Laid out for people; in logs as it is."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if console.is_terminal:
        console.print(Markdown(markdown))
    else:
        print(markdown)
    return Output({"explanation": markdown})


COMMAND = Command(
    name="explain",
    help="tell what an assertion or a property measures",
    about="What it claims, its keys, its formulas with their sources, and how to read its verdict. With "
    "the results of a run, what was found comes first.",
    example="coherence explain collinearity",
    add=_add,
)
