"""From a suite file to assertions. No model is loaded, and nothing is measured."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from coherence import limits
from coherence.errors import Place, SuiteError, UnknownNameError, in_a_sentence
from coherence.plan import Scene
from coherence.properties import Case, Property
from coherence.suite.document import Document, shown
from coherence.suite.file import SuiteFile, suite_file
from coherence.suite.include import assemble
from coherence.suite.overrides import Overrides
from coherence.suite.problem import Problem, refuse
from coherence.suite.references import loose_ends, wanting
from coherence.suite.suite import Assertion, Suite
from coherence.suite.training_data import with_training
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
    """Read a suite with what it includes; a SuiteError says what is wrong, in which files, on which lines.

    One that asserts nothing is refused, unless it need not.
    """
    suite, problems = read_suite(path, overrides, must_assert)
    refuse(problems)
    return suite


def load_scene(path: Path, overrides: Overrides) -> tuple[Scene, Mapping[str, Place]]:
    """Read the scene of a suite, and the places of `Suite`, whatever it asserts, and were it nothing.

    A file of personas alone is enough. A SuiteError as `load_suite` raises, for all but assertions.
    """
    document = assemble(path)
    refuse(problem for key, problem in document.problems if key[:1] != ("assertions",))
    file = suite_file().model_validate(document.data)
    refuse(loose_ends(file, document))
    scene, problems = with_training(_scene(file, overrides), document)
    refuse(problems)
    return scene, _artefact_places(document) | overrides.places


def read_suite(path: Path, overrides: Overrides, must_assert: bool = True) -> tuple[Suite, list[Problem]]:
    """Read what can be read of a suite, and list all that is wrong with it.

    What rests on a part that is wrong is not judged by it; only names that nothing bears are. A SuiteError
    where a file cannot be read at all.
    """
    document = assemble(path)
    file = suite_file().model_validate(document.data)
    problems = [problem for _, problem in document.problems]
    loose = [] if document.lost else [*_loose(file, document), *wanting(file, document, must_assert)]
    scene, untaught = with_training(_scene(file, overrides), document)
    loose += untaught
    stated = [(one, document.place(("assertions", index))) for index, one in enumerate(file.assertions)]
    expanded = _Expanded.of(stated, scene)
    if not document.lost:
        is_whole = not loose and {key[:1] for key, _ in document.problems} <= {("assertions",)}
        problems += [*loose, *(expanded.problems if is_whole else expanded.strangers)]
    places = _artefact_places(document) | overrides.places
    return Suite(path, overrides, scene, places, expanded.assertions), problems


def _loose(file: SuiteFile, document: Document) -> Iterator[Problem]:
    return islice(loose_ends(file, document), limits.PROBLEMS + 1)


def assertions_of(stated: Iterable[tuple[Property, Place]], scene: Scene) -> tuple[Assertion, ...]:
    """Generate the assertions of properties, each with its place; a SuiteError says what is wrong where."""
    expanded = _Expanded.of(stated, scene)
    refuse(expanded.problems)
    return expanded.assertions


def _scene(file: SuiteFile, overrides: Overrides) -> Scene:
    return Scene(
        release=overrides.apply(file.release),
        personas=file.personas,
        kin=tuple(map(frozenset, file.kin)),
        probes=file.probes,
        regimes=file.regimes,
        neutral=None if file.system == "none" else file.neutral,
        templating=Templating(fold=file.system == "fold", date=file.date),
        thinking=file.thinking,
        decoding=file.decoding.draws[0],
        samples=file.decoding.samples,
        scripts=file.scripts,
        seed=file.seed if overrides.seed is None else overrides.seed,
    )


@dataclass(frozen=True)
class _Expanded:
    """The assertions of properties, what is wrong with some, and which of that are names nothing bears."""

    assertions: tuple[Assertion, ...]
    problems: tuple[Problem, ...]
    strangers: tuple[Problem, ...]

    @classmethod
    def of(cls, stated: Iterable[tuple[Property, Place]], scene: Scene) -> Self:
        assertions: list[Assertion] = []
        problems: list[Problem] = []
        strangers: list[Problem] = []
        for asserted, place in stated:
            if len(problems) > limits.PROBLEMS:
                break
            try:
                cases = asserted.cases(scene)
            except Exception as error:
                problem = in_a_sentence(error)
                problems.append(Problem(problem.place or place, problem.sentence))
                strangers += problems[-1:] if isinstance(error, UnknownNameError) else []
                continue
            if not cases:
                nobody = f"{asserted.word()} asserts nothing: no persona has what it takes"
                problems.append(Problem(place, nobody))
            assertions += (_assertion(asserted, case, place) for case in cases)
        problems = problems or list(_clashes(assertions))
        return cls(tuple(assertions), tuple(problems), tuple(strangers))


def _assertion(asserted: Property, case: Case, place: Place) -> Assertion:
    name = f"{case.persona}.{asserted.id or asserted.word()}.{case.slug}"
    return Assertion(name, asserted.family, asserted, case, asserted.expect, asserted.tier, place)


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
