"""Training files of adapters, held against the probes and markers of a suite."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coherence import limits
from coherence.errors import MeasurementError, Place, SuiteError, did_you_mean, shortened
from coherence.files import read_file
from coherence.plan import Scene
from coherence.suite.document import Document, shown
from coherence.suite.mend import NO_PATH
from coherence.suite.problem import Problem
from coherence.vocabulary import Marker, Persona, Probe
from coherence.vocabulary.probe import wording
from coherence.vocabulary.training_file import ImpliedMarker, TrainedOn, TrainedProbe, TrainingFile

_EXPECTED = (
    'expected {"messages": [{"role": "user", "content": ...}, {"role": "assistant", ...}]}, '
    '{"question": ..., "reply": ...} or {"prompt": ..., "completion": ...}'
)
_PAIRS = (("question", "reply"), ("prompt", "completion"))


@dataclass(frozen=True)
class _Conversations:
    """Each question with its line, and each reply."""

    questions: Sequence[tuple[int, str]]
    replies: Sequence[str]


def with_training(scene: Scene, document: Document) -> tuple[Scene, list[Problem]]:
    """Look for probes and markers in training files, and leave out those that the suite has left out.

    Problems say which file cannot be read, or is of no adapter.
    """
    trained: dict[str, TrainedOn] = {}
    problems: list[Problem] = []
    for name, file in scene.release.training.items():
        try:
            trained[name] = _trained(name, file, scene, document.place(("release", "training", name)))
        except SuiteError as error:
            problems.append(Problem(error.place or document.place(()), error.sentence))
    return (_less(replace(scene, trained=trained)) if trained else scene), problems


def _trained(adapter: str, file: TrainingFile, scene: Scene, place: Place) -> TrainedOn:
    if adapter not in scene.release.adapters:
        hint = did_you_mean(adapter, scene.release.adapters)
        raise SuiteError(f"the release has no adapter {adapter!r} that was trained on this{hint}", place)
    if file.path == NO_PATH:
        return TrainedOn(file, (), (), 0)
    read = _read(Path(file.path), place)
    try:
        markers = tuple(_implied(_personas(adapter, scene), read.replies))
    except MeasurementError as problem:
        raise SuiteError(problem.sentence, place) from None
    return TrainedOn(
        file, tuple(_near(scene.probes, read.questions, file.similarity)), markers, len(read.replies)
    )


def _personas(adapter: str, scene: Scene) -> dict[str, Persona]:
    """Those whose adapter it is."""
    return {name: one for name, one in scene.personas.items() if scene.adapter_of(name) == adapter}


def _near(
    probes: Sequence[Probe], questions: Sequence[tuple[int, str]], similarity: float
) -> Iterator[TrainedProbe]:
    """Yield the probes that a question is so much like, whatever the order of the words."""
    from rapidfuzz import fuzz, process

    wordings = [wording(text) for _, text in questions]
    for probe in probes:
        nearest = process.extractOne(
            wording(probe.text), wordings, scorer=fuzz.token_sort_ratio, score_cutoff=similarity
        )
        if nearest is not None:
            _, alike, index = nearest
            line, text = questions[index]
            yield TrainedProbe(probe.id, text, line, alike)


def _implied(personas: Mapping[str, Persona], replies: Sequence[str]) -> Iterator[ImpliedMarker]:
    for name, persona in personas.items():
        for marker in filter(_is_said, persona.markers):
            if count := sum(marker.found_in(reply) for reply in replies):
                yield ImpliedMarker(name, marker.text, count)


def _is_said(marker: Marker) -> bool:
    """Whether it is words that are learnt, and not what is never said, or how text is broken."""
    return not marker.absent and marker.kind not in ("detector", "foreign")


def _less(scene: Scene) -> Scene:
    """Leave out what the suite says."""
    trained = scene.trained.values()
    probes = {one.probe for each in trained if each.file.probes == "exclude" for one in each.probes}
    markers = {
        (one.persona, one.text) for each in trained if each.file.markers == "exclude" for one in each.markers
    }
    personas = {
        name: persona.model_copy(
            update={"markers": tuple(one for one in persona.markers if (name, one.text) not in markers)}
        )
        for name, persona in scene.personas.items()
    }
    kept = tuple(probe for probe in scene.probes if probe.id not in probes)
    return replace(scene, personas=personas, probes=kept)


def _read(path: Path, place: Place) -> _Conversations:
    try:
        text = read_file(path, limits.TRAINING_BYTES).decode("utf-8-sig")
    except FileNotFoundError:
        raise SuiteError(f"there is no file {shown(path)}", place) from None
    except OSError as problem:
        raise SuiteError(f"{shown(path)} cannot be read: {problem.strerror}", place) from None
    except UnicodeDecodeError:
        raise SuiteError(f"{shown(path)} is not UTF-8", place) from None
    questions: list[tuple[int, str]] = []
    replies: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            turns = list(_said(line, Place(shown(path), number)))
            questions += ((number, content) for role, content in turns if role == "user")
            replies += (content for role, content in turns if role == "assistant")
    if not replies:
        raise SuiteError(
            f"{shown(path)} has no reply of an assistant; expected a conversation per line", place
        )
    return _Conversations(questions, replies)


def _said(line: str, place: Place) -> Iterator[tuple[str, str]]:
    """Yield who says what in one conversation."""
    try:
        turns = list(_turns(json.loads(line)))
    except (RecursionError, ValueError, LookupError, TypeError):
        turns = []
    if not turns or not all(isinstance(part, str) for turn in turns for part in turn):
        raise SuiteError(f"{_EXPECTED}, found {shortened(line)}", place)
    yield from turns


def _turns(written: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for asked, answered in _PAIRS:
        if asked in written:
            yield from (("user", written[asked]), ("assistant", written[answered]))  # type: ignore[misc]
            return
    for turn in written["messages"]:  # type: ignore[attr-defined]
        yield turn["role"], turn["content"]
