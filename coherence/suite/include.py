"""A suite and the files that it includes, as one document."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coherence.errors import Place, SuiteError
from coherence.suite.document import Document, Key, read_document, shown
from coherence.suite.labels import expand_labels
from coherence.suite.mend import mend
from coherence.suite.paths import beside, located, resolve_other_models, resolve_release
from coherence.suite.probes import expand_probes
from coherence.suite.problem import Problem, problems_in, refuse
from coherence.suite.quota import Quota

_DEFINITIONS: tuple[tuple[str, ...], ...] = (
    ("personas",),
    ("release", "adapters"),
    ("release", "vectors"),
    ("release", "training"),
)
_ADDED = ("probes", "scripts")


def assemble(path: Path) -> Document:
    """Read a suite and its includes. Definitions, probes and scripts add up; else the including file wins.

    Of two included files that state the same other key, the later one wins. A file that is reached in two
    ways is read once. What is wrong is listed in the document, which is valid: see `mend`. A SuiteError where
    a file cannot be read at all.
    """
    reading = _Reading()
    try:
        first, *others = reading.parts(located(path), None, ())
    except SuiteError as error:
        if reading.problems:
            refuse([*reading.problems, *problems_in(error, path)])
        raise
    merged = first
    for other in others:
        merged = _merge(merged, other)
    return merged


class _Reading:
    """The files that were read for a suite, and what is wrong with them: one does not hide another's."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._done: set[Path] = set()
        self._quota = Quota()

    def parts(self, path: Path, named_at: Place | None, trail: tuple[Path, ...]) -> Iterator[Document]:
        """Yield the documents, each after what it includes, and mended."""
        if path in trail:
            circle = " -> ".join(shown(step) for step in (*trail[trail.index(path) :], path))
            raise SuiteError(f"the includes run in a circle: {circle}", named_at)
        if path in self._done:
            return
        self._done.add(path)
        document = read_document(path, self._quota, named_at)
        _validate(document, self._quota, included=bool(trail))
        self.problems += (problem for _, problem in document.problems)
        for index, name in enumerate(_included(document)):
            place = document.place(("include", index))
            yield from self.parts(beside(path, name, place), place, (*trail, path))
        yield document


def _included(document: Document) -> list[str]:
    written = document.data.get("include")
    return [name for name in written if isinstance(name, str)] if isinstance(written, list) else []


def _validate(document: Document, quota: Quota, included: bool) -> None:
    """List what is wrong with a document, which is valid then, its probes in place and its paths absolute."""
    try:
        expand_probes(document, quota)
    except SuiteError as error:
        document.problems += ((("probes",), problem) for problem in problems_in(error, document.path))
        document.unread.add(("probes",))
        document.data.pop("probes")
    expand_labels(document, quota)
    mend(document)
    if included and document.data.pop("assertions", ()):
        key = ("assertions",)
        misplaced = "assertions belong in the suite, not in a file it includes"
        document.problems.append((key, Problem(document.place(key), misplaced)))
        document.unread.add(key)
    document.problems += [*resolve_release(document), *resolve_other_models(document)]


def _merge(below: Document, above: Document) -> Document:
    before = {name: below.data.get(name, []) for name in _ADDED}
    added = {name: listed + above.data.get(name, []) for name, listed in before.items()}
    data = _joined(below.data, above.data) | {name: listed for name, listed in added.items() if listed}
    offsets = {name: len(listed) for name, listed in before.items()}
    places = {_shifted(key, offsets): place for key, place in above.places.items()}
    return Document(
        above.path,
        data,
        below.places | places,
        [*below.problems, *above.problems, *_clashes(below, above)],
        below.unread | above.unread,
        below.lost or above.lost,
    )


def _joined(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _joined(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return below | above | both


def _shifted(key: Key, offsets: Mapping[str, int]) -> Key:
    match key:
        case (str(name), int(index), *rest) if name in offsets:
            return (name, index + offsets[name], *rest)
    return key


def _clashes(below: Document, above: Document) -> Iterator[tuple[Key, Problem]]:
    for group in _DEFINITIONS:
        taken = _at(below.data, group)
        for name in _at(above.data, group):
            if name in taken:
                key = (*group, name)
                sentence = f"{group[-1]}.{name} is defined twice; first at {below.place(key)}"
                yield key, Problem(above.place(key), sentence)


def _at(data: dict[str, Any], group: tuple[str, ...]) -> dict[str, Any]:
    for step in group:
        data = data.get(step, {})
    return data
