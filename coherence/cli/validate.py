"""`coherence validate`: suites are checked without a model, and all problems are shown."""

import json
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.errors import SuiteError

if TYPE_CHECKING:
    from coherence.suite.problem import Problem


_ADVICE = (
    "has prompts alone; a release with adapters or vectors would add what compares two ways to put a persona "
    "into the model, such as `collinearity` and `markers`. A vector can be made of a prompt: "
    "release: {{vectors: {{{name}: {{extract: {{persona: {name}, site: resid_post.15}}}}}}}}"
)


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

    suites = [_read(suite) for path in options.suites for suite in suites_at(path)]
    problems = list(dict.fromkeys(problem for suite in suites for problem in suite.problems))
    {"text": _text, "json": _json, "github": _github}[options.format](suites, problems)
    read = [suite.path for suite in suites]
    fields = {"suites": read, "problems": [dict(_fields(problem)) for problem in problems]}
    return Output(fields, int(bool(problems)))


@dataclass(frozen=True)
class _Read:
    """What is wrong with a suite; of one without adapters and vectors, which personas have prompts."""

    path: Path
    problems: "Sequence[Problem]"
    prompted: Sequence[str] = ()


def _read(path: Path) -> _Read:
    from coherence.suite import Overrides
    from coherence.suite.absent import absent
    from coherence.suite.load import read_suite
    from coherence.suite.problem import in_order, problems_in

    try:
        suite, problems = read_suite(path, Overrides())
    except SuiteError as error:
        return _Read(path, problems_in(error, path))
    release = suite.scene.release
    personas = () if release.adapters or release.vectors else suite.scene.personas.items()
    prompted = [name for name, persona in personas if persona.prompt]
    return _Read(path, in_order(chain(problems, absent(suite))), prompted)


def _text(suites: Sequence[_Read], problems: "Sequence[Problem]") -> None:
    for problem in problems:
        column = "" if problem.place.column is None else f":{problem.place.column}"
        print(f"{problem.place}{column}: {problem.sentence}")
    for suite in suites:
        if suite.prompted and not suite.problems:
            print(f"{suite.path}: {_ADVICE.format(name=suite.prompted[0])}")
    print(f"{_count(suites, 'suite')}, {_count(problems, 'problem')}")


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things) or 'no'} {name}{'' if len(things) == 1 else 's'}"


def _json(suites: Sequence[_Read], problems: "Sequence[Problem]") -> None:
    print(json.dumps([dict(_fields(problem)) for problem in problems], indent=1))


def _fields(problem: "Problem") -> Iterator[tuple[str, str | int | None]]:
    place = problem.place
    yield from {"file": place.file, "line": place.line, "column": place.column}.items()
    yield "sentence", problem.sentence


def _github(suites: Sequence[_Read], problems: "Sequence[Problem]") -> None:
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
