"""From a suite file to assertions. No model is loaded, and nothing is measured."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from coherence.errors import Place, SuiteError
from coherence.plan import Scene
from coherence.suite.document import Document, shown
from coherence.suite.file import SuiteFile
from coherence.suite.include import assemble
from coherence.suite.overrides import Overrides
from coherence.suite.problem import Problem, refuse
from coherence.suite.references import loose_ends
from coherence.suite.suite import Assertion, Suite


def load_suite(path: Path, overrides: Overrides) -> Suite:
    """Read a suite with what it includes; a SuiteError says what is wrong, in which file, on which line."""
    document = assemble(path)
    file = SuiteFile.model_validate(document.data)
    refuse(loose_ends(file, document))
    scene = Scene(
        release=overrides.apply(file.release),
        personas=file.personas,
        probes=file.probes,
        regimes=file.regimes,
        neutral=file.neutral,
        decoding=file.decoding,
        seed=file.seed if overrides.seed is None else overrides.seed,
    )
    assertions = tuple(_assertions(file, scene, document))
    refuse(_clashes(assertions))
    return Suite(path, overrides, scene, _artefact_places(document) | overrides.places, assertions)


def _assertions(file: SuiteFile, scene: Scene, document: Document) -> Iterator[Assertion]:
    problems = []
    for index, asserted in enumerate(file.assertions):
        place = document.place(("assertions", index))
        try:
            cases = asserted.cases(scene)
        except SuiteError as error:
            problems.append(Problem(error.place or place, error.sentence))
            continue
        if not cases:
            problems.append(
                Problem(place, f"{asserted.property} asserts nothing: no persona has what it takes")
            )
        for case in cases:
            name = f"{case.persona}.{asserted.id or asserted.property}.{case.slug}"
            yield Assertion(name, asserted.family, asserted, case, asserted.expect, place)
    refuse(problems)


def _clashes(assertions: Iterable[Assertion]) -> Iterator[Problem]:
    first: dict[str, Place] = {}
    for assertion in assertions:
        if assertion.id in first:
            sentence = f"{first[assertion.id]} asserts {assertion.id!r} already; set 'id:' on one of them"
            yield Problem(assertion.place, sentence)
        first.setdefault(assertion.id, assertion.place)


def _artefact_places(document: Document) -> dict[str, Place]:
    named = {".".join(map(str, key)): place for key, place in document.places.items() if key[0] == "release"}
    return {"release.base": Place(shown(document.path))} | named
