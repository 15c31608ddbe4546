"""The measurer: turns missing measurements into batches, and their results into store entries."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from torch import Tensor

from coherence.engine.artefacts import Artefacts
from coherence.engine.forward import next_tokens, residuals
from coherence.engine.generation import replies
from coherence.engine.keys import key_of
from coherence.engine.laws import search
from coherence.engine.progress import Progress
from coherence.engine.rows import Row
from coherence.engine.workshop import Workshop
from coherence.errors import CoherenceError
from coherence.plan import LawSearch, Measurement, NextToken, Outcome, Reading, Reply
from coherence.store import Store

_Kind = TypeVar("_Kind", Reply, Reading, NextToken, LawSearch)
_Row = TypeVar("_Row", bound=Row)
_Measured = Iterator[tuple[_Row, Tensor | CoherenceError]] | Iterator[tuple[_Row, str | CoherenceError]]


class Measurer:
    """Measures in the order of dependence: replies, readings, next tokens, laws. Stores values at once."""

    def __init__(self, artefacts: Artefacts, store: Store, progress: Progress) -> None:
        self._workshop = Workshop(artefacts, store)
        self._artefacts = artefacts
        self._store = store
        self._progress = progress
        self._outcomes: dict[Measurement, Outcome] = {}

    def measure(
        self, missing: Sequence[Measurement], known: Mapping[Measurement, Outcome]
    ) -> dict[Measurement, Outcome]:
        """Outcome of every missing measurement; `known` holds replies that readings append."""
        self._progress("loading the model", 0, 1)
        try:
            host = self._workshop.host
        except CoherenceError as problem:
            return dict.fromkeys(missing, problem)
        self._progress("loading the model", 1, 1)
        self._batched("replies", _of(Reply, missing), self._workshop.asked, lambda rows: replies(host, rows))
        texts = {**known, **self._outcomes}
        self._batched(
            "residuals",
            _of(Reading, missing),
            lambda reading: self._workshop.reading_row(reading, _text(reading, texts)),
            lambda rows: residuals(host, rows),
        )
        self._batched(
            "next tokens",
            _of(NextToken, missing),
            lambda wanted: self._workshop.row(wanted.condition, wanted.probe),
            lambda rows: next_tokens(host, rows),
        )
        self._laws(_of(LawSearch, missing))
        return self._outcomes

    def _batched(
        self,
        what: str,
        measurements: Sequence[_Kind],
        row_of: Callable[[_Kind], _Row],
        run: Callable[[list[_Row]], _Measured[_Row]],
    ) -> None:
        rows: dict[_Row, _Kind] = {}
        for measurement in measurements:
            try:
                rows[row_of(measurement)] = measurement
            except CoherenceError as problem:
                self._outcomes[measurement] = problem
        for done, (row, value) in enumerate(run(list(rows)), start=1):
            self._keep(rows[row], value.numpy() if isinstance(value, Tensor) else value)
            self._progress(what, done, len(rows))

    def _laws(self, searches: Sequence[LawSearch]) -> None:
        for done, wanted in enumerate(searches, start=1):
            try:
                self._keep(wanted, search(self._workshop, wanted))
            except CoherenceError as problem:
                self._outcomes[wanted] = problem
            self._progress("laws", done, len(searches))

    def _keep(self, measurement: Measurement, outcome: Outcome) -> None:
        self._outcomes[measurement] = outcome
        if not isinstance(outcome, CoherenceError):
            self._store.put(key_of(measurement, self._artefacts), outcome)


def _of(kind: type[_Kind], measurements: Iterable[Measurement]) -> list[_Kind]:
    return [measurement for measurement in measurements if isinstance(measurement, kind)]


def _text(reading: Reading, texts: Mapping[Measurement, Outcome]) -> str:
    if reading.text is None:
        return ""
    text = texts[reading.text]
    if isinstance(text, CoherenceError):
        raise text
    assert isinstance(text, str)
    return text
