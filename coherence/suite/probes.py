"""Probes as a suite writes them: questions in place, or JSONL files with a probe per line."""

import json
from collections.abc import Iterator

from coherence.errors import Place, SuiteError
from coherence.suite.document import Document, read_text, shown
from coherence.suite.paths import beside
from coherence.suite.problem import Problem, refuse


def expand_probes(document: Document) -> None:
    """Put the lines of JSONL files in the place of their paths, each with its own file and line."""
    written = document.data.get("probes")
    if isinstance(written, str):
        probes = list(_lines_of(written, document, document.place(("probes",))))
    elif isinstance(written, list):
        probes = [found for index, item in enumerate(written) for found in _expanded(item, index, document)]
    else:
        return
    document.data["probes"] = [probe for probe, _ in probes]
    document.places.update({("probes", index): place for index, (_, place) in enumerate(probes)})


def _expanded(item: object, index: int, document: Document) -> Iterator[tuple[object, Place]]:
    place = document.place(("probes", index))
    if isinstance(item, str) and item.endswith(".jsonl"):
        return _lines_of(item, document, place)
    return iter([(item, place)])


def _lines_of(name: str, document: Document, named_at: Place) -> Iterator[tuple[object, Place]]:
    path = beside(document.path, name)
    lines = read_text(path, named_at).split("\n")
    places = [Place(shown(path), number) for number in range(1, len(lines) + 1)]
    written = [(line, place) for line, place in zip(lines, places, strict=True) if line.strip()]
    if not written:
        raise SuiteError("the file is empty; expected one probe per line", Place(shown(path), 1))
    refuse(Problem(place, sentence) for line, place in written if (sentence := _broken(line)))
    return ((json.loads(line), place) for line, place in written)


def _broken(line: str) -> str | None:
    try:
        json.loads(line)
    except (RecursionError, ValueError) as problem:
        return f'expected JSON such as {{"id": "order", "text": "..."}}, found {line[:60]!r} ({problem})'
    return None
