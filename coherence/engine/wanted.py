"""From measurements to rows: all that is wanted of one prompt is taken from one row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from coherence.engine.chat import last_user_token
from coherence.engine.job import Job
from coherence.engine.rows import Asked, Row, Span
from coherence.errors import CoherenceError, MeasurementError
from coherence.plan import Answer, Condition, LawSearch, Measurement, NextToken, Reading, Reply
from coherence.vocabulary import Position, Probe

if TYPE_CHECKING:
    from coherence.engine.workshop import Workshop

# What is run: a probe under a condition, followed by a reply that is known or by none.
_Prompt = tuple[Condition, Probe, Reply | None]


class Rows:
    """The rows of a job, and an error for every measurement that cannot have one."""

    def __init__(self, workshop: Workshop, job: Job) -> None:
        self.problems: dict[Measurement, CoherenceError] = {}
        self.made: list[Row] = []
        self._workshop = workshop
        self._known = job.known
        for prompt, members in self._by_prompt(job.measurements).items():
            try:
                self.made.append(self._row(prompt, members))
            except CoherenceError as problem:
                self.problems.update(dict.fromkeys(members, problem))

    def _by_prompt(self, measurements: Iterable[Measurement]) -> dict[_Prompt, list[Measurement]]:
        found: dict[_Prompt, list[Measurement]] = {}
        for measurement in measurements:
            if not isinstance(measurement, LawSearch):
                text = measurement.text if isinstance(measurement, Reading) else None
                said = text if text in self._known else None
                found.setdefault((measurement.condition, measurement.probe, said), []).append(measurement)
        return found

    def _row(self, prompt: _Prompt, members: Sequence[Measurement]) -> Row:
        condition, probe, said = prompt
        response = self._answer(said).ids if said else ()
        row = self._workshop.row(condition, probe, response)
        spans: dict[Hashable, Span] = {}
        means: dict[Reply, dict[Hashable, int]] = {}
        for reading in members:
            if not isinstance(reading, Reading):
                continue
            if reading.text and not said and reading.position is Position.RESPONSE_MEAN:
                means.setdefault(reading.text, {})[reading] = self._through(reading)
            else:
                spans[reading] = self._span(reading, len(row.ids) - len(response), len(row.ids))
        replies = dict.fromkeys([*means, *(member for member in members if isinstance(member, Reply))])
        return replace(
            row,
            spans=spans,
            log_probs=next((member for member in members if isinstance(member, NextToken)), None),
            asked=tuple(Asked(reply, reply.decoding, means.get(reply, {})) for reply in replies),
        )

    def _span(self, reading: Reading, prompt: int, end: int) -> Span:
        through = self._through(reading)
        if reading.position is Position.RESPONSE_MEAN:
            return Span(prompt, end, through)
        if reading.position is Position.USER_LAST:
            with self._workshop.artefacts.blaming("base"):
                last = last_user_token(self._workshop.host.tokenizer, reading.condition, reading.probe)
            return Span(last, last + 1, through)
        return Span(prompt - 1, prompt, through)

    def _through(self, reading: Reading) -> int:
        deepest = len(self._workshop.host.blocks)
        return min(reading.through.depth, deepest) if reading.through else deepest

    def _answer(self, reply: Reply) -> Answer:
        said = self._known[reply]
        if isinstance(said, CoherenceError):
            raise said
        assert isinstance(said, Answer)
        if not said.ids:
            raise MeasurementError(f"the reply to probe {reply.probe.id!r} is empty: it has no response_mean")
        return said
