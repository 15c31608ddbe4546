"""Probes as a suite writes them: questions in place, or JSONL files with a probe per line."""

import json
from collections.abc import Iterator, Sequence

from coherence import limits
from coherence.errors import Place, SuiteError, shortened
from coherence.suite.document import Document, read_text, shown
from coherence.suite.paths import beside
from coherence.suite.problem import Problem, refuse
from coherence.suite.quota import Quota


def expand_probes(document: Document, quota: Quota) -> None:
    """Put the lines of JSONL files in the place of their paths, each with its own file and line.

    A SuiteError says what is wrong with one.
    """
    written = document.data.get("probes")
    if isinstance(written, str):
        probes = list(_lines_of(written, document, document.place(("probes",)), quota))
    elif isinstance(written, list):
        probes = [
            probe for index, item in enumerate(written) for probe in _expanded(item, index, document, quota)
        ]
    else:
        return
    document.data["probes"] = [probe for probe, _ in probes]
    document.places.update({("probes", index): place for index, (_, place) in enumerate(probes)})


def _expanded(item: object, index: int, document: Document, quota: Quota) -> Iterator[tuple[object, Place]]:
    place = document.place(("probes", index))
    if isinstance(item, str) and item.endswith(".jsonl"):
        return _lines_of(item, document, place, quota)
    _count([place], quota)
    return iter([(item, place)])


def _count(places: Sequence[Place], quota: Quota) -> None:
    if len(places) > quota.probes:
        raise SuiteError(f"the suite has more than {limits.PROBES:,} probes", places[quota.probes])
    quota.probes -= len(places)


def _lines_of(name: str, document: Document, named_at: Place, quota: Quota) -> Iterator[tuple[object, Place]]:
    lines = read_lines(name, document, named_at, quota, '{"id": "order", "text": "..."}')
    _count([place for _, place in lines], quota)
    return iter(lines)


def read_lines(
    name: str, document: Document, named_at: Place, quota: Quota, such_as: str
) -> list[tuple[object, Place]]:
    """Read a JSONL file that a suite names, a value and its place a line.

    A SuiteError says what is wrong with it; `such_as` is a line as it should be.
    """
    path = beside(document.path, name, named_at)
    lines, file = read_text(path, quota, named_at).split("\n"), shown(path)
    written = [(line, Place(file, number)) for number, line in enumerate(lines, start=1) if line.strip()]
    if not written:
        raise SuiteError(f"the file is empty; expected lines such as {such_as}", Place(file, 1))
    read: list[tuple[object, Place]] = []
    problems: list[Problem] = []
    for line, place in written:
        try:
            read.append((json.loads(line), place))
        except (RecursionError, ValueError) as problem:
            wrong = f"expected JSON such as {such_as}, found {shortened(line)} ({problem})"
            problems.append(Problem(place, wrong))
    refuse(problems)
    return read
