"""`coherence validate`: suites are checked without a model, and all problems are shown."""

import json
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.errors import SuiteError

if TYPE_CHECKING:
    from coherence.suite.problem import Problem


def _add(parser: Parser) -> None:
    parser.add_argument(
        "suites",
        type=Path,
        nargs="*",
        default=[Path()],
        help="suites, or folders of *.coherence.yaml files; default: the current folder",
    )
    parser.add_argument(
        "--format",
        choices=["text", "json", "github"],
        default="text",
        help="for people, for programs, or as annotations of a GitHub workflow; default: %(default)s",
    )
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.suite import suites_at

    suites = [suite for path in options.suites for suite in suites_at(path)]
    problems = list(dict.fromkeys(problem for suite in suites for problem in _problems(suite)))
    {"text": _text, "json": _json, "github": _github}[options.format](suites, problems)
    fields = {"suites": suites, "problems": [dict(_fields(problem)) for problem in problems]}
    return Output(fields, int(bool(problems)))


def _problems(suite: Path) -> "Sequence[Problem]":
    from coherence.suite import Overrides, load_suite
    from coherence.suite.absent import absent
    from coherence.suite.problem import problems_in

    try:
        return list(absent(load_suite(suite, Overrides())))
    except SuiteError as error:
        return problems_in(error, suite)


def _text(suites: Sequence[Path], problems: "Sequence[Problem]") -> None:
    for problem in problems:
        column = "" if problem.place.column is None else f":{problem.place.column}"
        print(f"{problem.place}{column}: {problem.sentence}")
    print(f"{_count(suites, 'suite')}, {_count(problems, 'problem')}")


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things) or 'no'} {name}{'' if len(things) == 1 else 's'}"


def _json(suites: Sequence[Path], problems: "Sequence[Problem]") -> None:
    print(json.dumps([dict(_fields(problem)) for problem in problems], indent=1))


def _fields(problem: "Problem") -> Iterator[tuple[str, str | int | None]]:
    place = problem.place
    yield from {"file": place.file, "line": place.line, "column": place.column}.items()
    yield "sentence", problem.sentence


def _github(suites: Sequence[Path], problems: "Sequence[Problem]") -> None:
    from coherence.reports.annotations import command, from_root

    root = Path(os.environ.get("GITHUB_WORKSPACE", Path.cwd()))
    for problem in problems:
        place = problem.place
        about = {"file": from_root(place.file, root), "line": place.line, "col": place.column}
        print(command("error", about | {"title": "coherence validate"}, problem.sentence))


COMMAND = Command(
    name="validate",
    help="check suites without a model",
    about="Show every problem of every suite with its file, line and column, and what was meant: 0 when "
    "there is none, 1 when there are some. No model is loaded. Artefacts on this machine must be there; what "
    "they are is looked at by `coherence doctor`.",
    example="coherence validate pirate.coherence.yaml",
    add=_add,
)
