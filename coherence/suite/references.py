"""What one part of a suite says about another: names that must exist, ids that must differ."""

from collections.abc import Iterable, Iterator

from coherence.errors import did_you_mean
from coherence.suite.document import Document, Key
from coherence.suite.file import SuiteFile
from coherence.suite.problem import Problem
from coherence.vocabulary.probe import wording


def loose_ends(file: SuiteFile, document: Document) -> Iterator[Problem]:
    """Find names that nothing bears, and what is there twice."""
    yield from _artefacts(file, document)
    yield from _steered(file, document)
    yield from _kin(file, document)
    yield from _system_turns(file, document)
    yield from _bounds(file, document)
    yield from _extractions(file, document)
    yield from _probes(file, document)
    yield from _scripts(file, document)


def wanting(file: SuiteFile, document: Document, must_assert: bool) -> Iterator[Problem]:
    """Find out whether a suite has no probes, or no assertions where it must have some."""
    unread = {part[0] for part in document.unread}
    if not file.probes and "probes" not in unread:
        yield Problem(
            document.place(("probes",)), "the suite has no probes; expected questions under 'probes:'"
        )
    if must_assert and not file.assertions and "assertions" not in unread:
        yield Problem(
            document.place(("assertions",)), "the suite asserts nothing; expected a list under 'assertions:'"
        )


def _artefacts(file: SuiteFile, document: Document) -> Iterator[Problem]:
    for name, persona in file.personas.items():
        named = (
            ("adapter", persona.adapter, file.release.adapters),
            ("vector", persona.vector, file.release.vectors),
        )
        for kind, artefact, known in named:
            if artefact is not None and artefact not in known:
                hint = did_you_mean(artefact, known)
                yield Problem(
                    document.place(("personas", name, kind)), f"the release has no {kind} {artefact!r}{hint}"
                )


def _steered(file: SuiteFile, document: Document) -> Iterator[Problem]:
    known = file.release.vectors
    for name in file.release.served.steered if file.release.served else ():
        if name not in known:
            sentence = f"the release has no vector {name!r}{did_you_mean(name, known)}"
            yield Problem(document.place(("release", "served", "steered", name)), sentence)


def _kin(file: SuiteFile, document: Document) -> Iterator[Problem]:
    for index, group in enumerate(file.kin):
        place = document.place(("kin", index))
        if len(set(group)) < 2:
            yield Problem(place, f"kin are two personas or more; found {', '.join(group) or 'none'}")
        for name in group:
            if name not in file.personas:
                yield Problem(place, f"no persona is named {name!r}{did_you_mean(name, file.personas)}")
    listed = [(name, index) for index, group in enumerate(file.kin) for name in dict.fromkeys(group)]
    for again, first in _repeated(name for name, _ in listed):
        (name, index), (_, other) = listed[again], listed[first]
        taken = f"{name!r} is kin already, at {document.place(('kin', other))}; expected one group for all"
        yield Problem(document.place(("kin", index)), taken)


def _system_turns(file: SuiteFile, document: Document) -> Iterator[Problem]:
    if file.system != "none":
        return
    if document.data.get("neutral") is not None:
        yield Problem(
            document.place(("neutral",)),
            "`system: none` says that there is no system turn; expected none under 'neutral:' either",
        )
    for name, persona in file.personas.items():
        if persona.prompt and persona.prompt.role == "system":
            yield Problem(
                document.place(("personas", name, "prompt", "role")),
                f"the prompt of {name!r} is a system turn, and `system: none` says that there is none; "
                "expected `role: user`, or `system: fold`",
            )


def _bounds(file: SuiteFile, document: Document) -> Iterator[Problem]:
    for name, persona in file.personas.items():
        if persona.cap is None:
            continue
        key: Key = ("personas", name, "cap", *(("persona",) if persona.cap.persona else ()))
        if lack := _lack(persona.cap.persona or name, file, "lead the axis of a cap to"):
            yield Problem(document.place(key), lack)


def _extractions(file: SuiteFile, document: Document) -> Iterator[Problem]:
    for name, source in file.release.vectors.items():
        if source.extract is None:
            continue
        for side in ("persona", "against"):
            persona = getattr(source.extract, side)
            key: Key = ("release", "vectors", name, "extract", side)
            if persona is not None and (lack := _lack(persona, file, "extract a vector from")):
                yield Problem(document.place(key), lack)
        known = file.release.adapters
        for side in ("under", "adapter"):
            adapter = getattr(source.extract, side)
            if adapter is not None and adapter not in known:
                sentence = f"the release has no adapter {adapter!r}{did_you_mean(adapter, known)}"
                yield Problem(document.place(("release", "vectors", name, "extract", side)), sentence)


def _lack(persona: str, file: SuiteFile, purpose: str) -> str | None:
    if persona not in file.personas:
        return f"no persona is named {persona!r}{did_you_mean(persona, file.personas)}"
    if file.personas[persona].prompt is None:
        return f"persona {persona!r} has no prompt to {purpose}"
    return None


def _probes(file: SuiteFile, document: Document) -> Iterator[Problem]:
    duplicates = dict(_repeated(wording(probe.text) for probe in file.probes))
    for index, first in duplicates.items():
        repeated = f"the question {file.probes[index].text[:60]!r} is asked already"
        sentence = f"{repeated}, at {document.place(('probes', first))}; what is there twice counts twice"
        yield Problem(document.place(("probes", index)), sentence)
    for index, first in _repeated(probe.id for probe in file.probes):
        if index not in duplicates:
            taken = f"the probe id {file.probes[index].id!r} is taken by {document.place(('probes', first))}"
            yield Problem(document.place(("probes", index)), f"{taken}; give this one another with 'id:'")


def _scripts(file: SuiteFile, document: Document) -> Iterator[Problem]:
    for index, first in _repeated(script.id for script in file.scripts):
        taken = f"the script id {file.scripts[index].id!r} is taken by {document.place(('scripts', first))}"
        yield Problem(document.place(("scripts", index)), f"{taken}; give this one another with 'id:'")


def _repeated(ids: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield the index of each repetition, with the index of what it repeats."""
    seen: dict[str, int] = {}
    for index, name in enumerate(ids):
        if seen.setdefault(name, index) != index:
            yield index, seen[name]
