"""Portions: utterances read some at a time, and kept as numbers, so that a run that was killed goes on."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import heard_key
from coherence.engine.engine import Engine
from coherence.errors import MeasurementError
from coherence.monitor.utterance import Utterance
from coherence.monitor.yardstick import STATISTICS, Marked, Yardstick
from coherence.plan import Answer, Measurement, Plan, Record
from coherence.statistics.intervals import Array
from coherence.store import Key, Store

SIZE = 128
"""Utterances of a portion: three measurements each, some batches."""

_FORMAT = 1  # of what is stored


@dataclass(frozen=True, eq=False)
class Portion:
    """Utterances with their statistics, [utterances, statistics], and by place why some have none."""

    utterances: Sequence[Utterance]
    values: Array
    problems: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class Portions:
    """Reads utterances by the yardsticks of their personas, and stores nothing of them but numbers."""

    engine: Engine
    store: Store
    artefacts: Artefacts
    marked: Mapping[str, Marked]

    def __call__(self, utterances: Iterable[Utterance], done: Callable[[int], None]) -> Iterator[Portion]:
        """Yield portion after portion; `done` hears how many utterances of each are read."""
        keys = {name: self._key(marked.yardstick) for name, marked in self.marked.items()}
        for some in _batched(utterances, SIZE):
            yield self._portion(some, keys)
            done(len(some))

    def _key(self, yardstick: Yardstick) -> Key:
        """Name all that the numbers of a persona's utterances depend on, beside these."""
        markers = [one.model_dump() for one in yardstick.scene.personas[yardstick.persona].markers]
        otherwise = {"statistics": STATISTICS, "format": _FORMAT, "markers": markers}
        return heard_key(yardstick.needs(), otherwise, self.artefacts)

    def _portion(self, utterances: Sequence[Utterance], keys: Mapping[str, Key]) -> Portion:
        needs = [list(self._needs(utterance)) for utterance in utterances]
        every = [one for each in needs for one in each]
        by = [keys[utterance.persona] for utterance in utterances]
        key = heard_key(every, {"by": by, "of": "numbers"}, self.artefacts)
        reasons = heard_key(every, {"by": by, "of": "reasons"}, self.artefacts)
        values, said = self.store.get(key), self.store.get(reasons)
        if isinstance(values, np.ndarray) and isinstance(said, Answer):
            return Portion(utterances, values.astype(np.float64), _read_back(said.text))
        measured, problems = self._measured(utterances, every)
        # Rounded before they are used, so that what is read back is what was seen.
        rounded = measured.astype(np.float32)
        self.store.put(key, rounded)
        self.store.put(reasons, Answer(_written(problems), ()))
        return Portion(utterances, rounded.astype(np.float64), problems)

    def _measured(
        self, utterances: Sequence[Utterance], needs: Iterable[Measurement]
    ) -> tuple[Array, dict[int, str]]:
        record = Record(self.engine.measure(Plan(needs)))
        values, problems = np.full((len(utterances), len(STATISTICS)), np.nan), {}
        for place, one in enumerate(utterances):
            marked = self.marked[one.persona]
            reply = marked.yardstick.given(one.probe, one.answer)
            try:
                values[place] = marked.statistics(reply, one.answer, record)
            except MeasurementError as problem:
                problems[place] = problem.sentence
        return values, problems

    def _needs(self, utterance: Utterance) -> Iterator[Measurement]:
        if utterance.answer.split():
            yardstick = self.marked[utterance.persona].yardstick
            yield from yardstick.read(yardstick.given(utterance.probe, utterance.answer))


def _batched(utterances: Iterable[Utterance], size: int) -> Iterator[list[Utterance]]:
    left = iter(utterances)
    while some := list(islice(left, size)):
        yield some


def _written(problems: Mapping[int, str]) -> str:
    return "\n".join(f"{place} {problem}" for place, problem in problems.items())


def _read_back(text: str) -> dict[int, str]:
    lines = (line.partition(" ") for line in text.splitlines())
    return {int(place): problem for place, _, problem in lines}
