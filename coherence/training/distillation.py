"""Self-distillation: the prompted persona answers many questions, and what shows it is kept."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.engine.executors.progress import Progress
from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Plan, Record, Reply, Scene
from coherence.store import Store
from coherence.training.pairs import Pair
from coherence.vocabulary import Persona, Probe, Regime
from coherence.vocabulary.probe import wording

# Varied enough that a question answered twice is seldom answered alike, and seldom wild (arXiv 1904.09751).
_TEMPERATURE, _TOP_P = 0.8, 0.9


@dataclass(frozen=True)
class Distillation:
    """What was kept, of how many replies, and how many questions were left out as they are probes."""

    pairs: tuple[Pair, ...]
    replies: int
    probes: int


@cache
def questions() -> tuple[str, ...]:
    """Return questions of our own: of work, home and everyday things, and about no persona."""
    return tuple((files(__package__) / "questions.txt").read_text(encoding="utf-8").splitlines())


def distil(
    scene: Scene,
    persona: str,
    questions: Sequence[str],
    engine: Engine,
    samples: int = 2,
    least: int = 1,
    seed: int = 0,
) -> Distillation:
    """Let the prompted persona answer each question `samples` times, and keep the replies that show it.

    A reply shows it that holds at least `least` distinct markers, as the property `markers` counts them. The
    tail that the limit of tokens cut off is left out, and what was said before is kept once. Questions that
    are probes of the scene are never asked: a gate is to judge on what the adapter has not seen.

    A SuiteError where the persona has no prompt or markers, a MeasurementError where no reply shows it.
    """
    condition = scene.condition(persona, Regime.PROMPT)
    told = scene.personas[persona]
    if len(told.markers) < least:
        raise SuiteError(
            f"replies are kept that show at least {least} markers, and persona {persona!r} has "
            f"{len(told.markers) or 'none'}"
        )
    new = _without(questions, scene.probes)
    replies = [
        Reply(condition, Probe(id=f"question-{index}", text=question), decoding)
        for decoding in (
            scene.decoding.model_copy(
                update={"temperature": _TEMPERATURE, "top_p": _TOP_P, "seed": seed + sample, "as_": None}
            )
            for sample in range(samples)
        )
        for index, question in enumerate(new)
    ]
    record = Record(engine.measure(Plan(replies)))
    answered = (Pair(reply.probe.text, whole_sentences(record.reply(reply).strip())) for reply in replies)
    pairs = tuple(showing(answered, told, least))
    if not pairs:
        raise MeasurementError(
            f"none of {len(replies)} replies under the prompt of {persona!r} shows {least} of its markers: "
            "the prompt does not evoke the persona, or other words do"
        )
    return Distillation(pairs, len(replies), len(set(questions)) - len(new))


def engine_of(scene: Scene, store: Store, progress: Progress) -> Engine:
    """Make an engine for the base of a scene alone: no adapter and no vector is looked at."""
    alone = scene.release.model_copy(update={"adapters": {}, "vectors": {}})
    return Engine(Artefacts(alone, {}, templating=scene.templating), store, progress)


def showing(answered: Iterable[Pair], persona: Persona, least: int) -> Iterator[Pair]:
    """Leave out pairs whose reply has fewer than `least` distinct markers, or was given before."""
    given: set[str] = set()
    for pair in answered:
        if pair.reply not in given and len(persona.markers_in(pair.reply)) >= least:
            given.add(pair.reply)
            yield pair


def whole_sentences(reply: str) -> str:
    """Drop the tail that the token limit cut off, unless nothing else is left."""
    end = max(reply.rfind(mark) for mark in ".!?")
    return reply[: end + 1] if end > 0 else reply


def _without(questions: Sequence[str], probes: Iterable[Probe]) -> list[str]:
    taken = {wording(probe.text) for probe in probes}
    return [question for question in dict.fromkeys(questions) if wording(question) not in taken]
