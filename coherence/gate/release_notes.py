"""What a reader should know of a release beside its numbers: of its base, adapters and vectors."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from coherence.engine.artefacts.artefacts import Artefacts, Named
from coherence.engine.artefacts.keys import adapter_remark_key, template_key, vector_remark_key
from coherence.errors import CoherenceError
from coherence.plan import (
    Answer,
    Condition,
    LawName,
    LawSearch,
    Measurement,
    Plan,
    Record,
    Reply,
    Scene,
    conditions_of,
)
from coherence.properties.parts import unanswered
from coherence.store import Store


class ReleaseNotes:
    """Notes on what was measured, from the files of a release and what was stored while it was loaded.

    `day` is what its chat template is told. Where there is no base there is no note: the verdicts say why.
    """

    def __init__(self, artefacts: Artefacts, store: Store, plan: Plan) -> None:
        self._artefacts, self._store = artefacts, store
        self.day: str | None = None
        self._of_prompts: tuple[str, ...] = ()
        self._of_artefacts: dict[Named, str] = {}
        with suppress(CoherenceError):
            self.day = artefacts.day
            self._of_prompts = tuple(self._prompts())
            self._of_artefacts = self._named(plan)

    def of(self, needs: Iterable[Measurement], record: Record, scene: Scene) -> Iterator[str]:
        """Yield what concerns these measurements of a suite."""
        measurements = list(needs)
        yield from self._of_prompts
        yield from self._decoded(measurements, scene)
        yield from self._rounded(measurements)
        for kind, name in carried(measurements, self._artefacts):
            if remark := self._of_artefacts.get((kind, name)):
                yield f"{kind.removesuffix('s')} {name!r}: {remark}"
            if kind == "adapters" and name in scene.trained:
                yield from (f"adapter {name!r}: {note}" for note in scene.trained[name].notes)
        yield from _unlike_answers(measurements, record)

    def _prompts(self) -> Iterator[str]:
        """Yield what became of prompts that is not as it is written."""
        if self.day:
            yield f"the chat template writes the date: it is told {self.day}"
        stored = self._store.get(template_key(self._artefacts))
        if isinstance(stored, Answer):
            yield from stored.text.splitlines()

    def _named(self, plan: Plan) -> dict[Named, str]:
        """Say of adapters and vectors that take part what a reader would not expect."""
        remarks = {}
        for named in carried(plan, self._artefacts):
            with suppress(CoherenceError):  # the verdicts say why there is no such artefact
                if remark := "; ".join(self._said_of(named)):
                    remarks[named] = remark
        return remarks

    def _said_of(self, named: Named) -> Iterator[str]:
        kind, name = named
        if kind == "vectors":
            deployed = self._artefacts.release.vectors[name].deployed
            yield from [", ".join(f"{what} {how}" for what, how in deployed.items())] if deployed else []
        key = adapter_remark_key if kind == "adapters" else vector_remark_key
        stored = self._store.get(key(name, self._artefacts))
        if isinstance(stored, Answer):
            yield stored.text

    def _decoded(self, needs: Iterable[Measurement], scene: Scene) -> Iterator[str]:
        """Yield what becomes of the base's own settings, where replies are among what is needed."""
        if any(isinstance(one, Reply) for one in Plan(needs)):
            remark = self._artefacts.generation.remark(scene.sampling)
            if remark:
                yield remark

    def _rounded(self, needs: Iterable[Measurement]) -> Iterator[str]:
        """Yield what laws hold to on this base, where one is held to less."""
        for one in needs:
            if isinstance(one, LawSearch) and isinstance(one.law, LawName):
                remark = self._artefacts.rounding(one.tolerance)
                if remark:
                    yield remark


def _unlike_answers(needs: Iterable[Measurement], record: Record) -> Iterator[str]:
    replies = [one for one in needs if isinstance(one, Reply)]
    if lacking := unanswered(replies, record):
        yield lacking
    if ran_on := sum(map(record.ran_on, replies)):
        yield f"{ran_on} of {len(replies)} replies run on into a turn of the user, and are cut there"


def conditions(measurements: Iterable[Measurement]) -> list[Condition]:
    """List what the model is under while these are measured, each once."""
    return list(dict.fromkeys(chain.from_iterable(map(conditions_of, measurements))))


def carried(measurements: Iterable[Measurement], artefacts: Artefacts) -> list[Named]:
    """List the artefacts that take part, the base apart."""
    return sorted(set(chain.from_iterable(map(artefacts.carried_by, conditions(measurements)))))
