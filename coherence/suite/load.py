"""From a suite file to assertions. No model is loaded, and nothing is measured."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from coherence.errors import Place, SuiteError, in_a_sentence
from coherence.plan import Scene
from coherence.properties import Property
from coherence.suite.document import Document, shown
from coherence.suite.file import suite_file
from coherence.suite.include import assemble
from coherence.suite.overrides import Overrides
from coherence.suite.problem import Problem, refuse
from coherence.suite.references import loose_ends
from coherence.suite.suite import Assertion, Suite
from coherence.vocabulary import Templating

SUFFIX = ".coherence.yaml"


def suites_at(path: Path) -> list[Path]:
    """Find a suite, or all below a folder; a SuiteError when there are none."""
    if not path.is_dir():
        if not path.exists():
            raise SuiteError(f"there is no file {path}")
        return [path]
    if not (suites := sorted(path.rglob(f"*{SUFFIX}"))):
        raise SuiteError(f"the folder {path} has no *{SUFFIX} file")
    return suites


def load_suite(path: Path, overrides: Overrides, must_assert: bool = True) -> Suite:
    """Read a suite with what it includes; a SuiteError says what is wrong, in which file, on which line.

    One that asserts nothing is refused, unless it need not.
    """
    document = assemble(path)
    file = suite_file().model_validate(document.data)
    refuse(loose_ends(file, document, must_assert))
    scene = Scene(
        release=overrides.apply(file.release),
        personas=file.personas,
        kin=tuple(map(frozenset, file.kin)),
        probes=file.probes,
        regimes=file.regimes,
        neutral=None if file.system == "none" else file.neutral,
        templating=Templating(fold=file.system == "fold", date=file.date),
        thinking=file.thinking,
        decoding=file.decoding,
        scripts=file.scripts,
        seed=file.seed if overrides.seed is None else overrides.seed,
    )
    stated = [(one, document.place(("assertions", index))) for index, one in enumerate(file.assertions)]
    assertions = assertions_of(stated, scene)
    return Suite(path, overrides, scene, _artefact_places(document) | overrides.places, assertions)


def assertions_of(stated: Iterable[tuple[Property, Place]], scene: Scene) -> tuple[Assertion, ...]:
    """Generate the assertions of properties, each with its place; a SuiteError says what is wrong where."""
    assertions = tuple(_assertions(stated, scene))
    refuse(_clashes(assertions))
    return assertions


def _assertions(stated: Iterable[tuple[Property, Place]], scene: Scene) -> Iterator[Assertion]:
    problems = []
    for asserted, place in stated:
        try:
            cases = asserted.cases(scene)
        except Exception as error:
            problem = in_a_sentence(error)
            problems.append(Problem(problem.place or place, problem.sentence))
            continue
        if not cases:
            problems.append(
                Problem(place, f"{asserted.word()} asserts nothing: no persona has what it takes")
            )
        for case in cases:
            name = f"{case.persona}.{asserted.id or asserted.word()}.{case.slug}"
            yield Assertion(name, asserted.family, asserted, case, asserted.expect, asserted.tier, place)
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
