"""From measurements to rows: all that is wanted of one prompt is taken from one row."""

from __future__ import annotations

from collections.abc import Collection, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from coherence.engine.job import Job
from coherence.engine.known import Known
from coherence.engine.rows import Asked, Row, Span, Turn
from coherence.errors import CoherenceError, MeasurementError
from coherence.plan import Condition, Measurement, NextToken, Reading, Reply
from coherence.vocabulary import Position, Probe

if TYPE_CHECKING:
    from coherence.engine.workshop import Workshop

# What is run: a probe under a condition, followed by a reply that is known or by none.
_Prompt = tuple[Condition, Probe, Reply | None]
_OfPrompt = Reply | Reading | NextToken


class Rows:
    """The rows of what a job wants of prompts, and an error for every measurement that cannot have one."""

    def __init__(self, workshop: Workshop, job: Job) -> None:
        self.problems: dict[Measurement, CoherenceError] = {}
        self.made: list[Row] = []
        self._workshop = workshop
        self._known = Known(workshop, job.known)
        for prompt, members in self._by_prompt(job.measurements).items():
            try:
                self.made.append(self._row(prompt, members))
            except CoherenceError as problem:
                self.problems.update(dict.fromkeys(members, problem))

    def _by_prompt(self, measurements: Iterable[Measurement]) -> dict[_Prompt, list[_OfPrompt]]:
        found: dict[_Prompt, list[_OfPrompt]] = {}
        for measurement in measurements:
            if isinstance(measurement, _OfPrompt):
                text = measurement.text if isinstance(measurement, Reading) else None
                said = text if text and self._known.has(text) else None
                found.setdefault((measurement.condition, measurement.probe, said), []).append(measurement)
        return found

    def _row(self, prompt: _Prompt, members: Sequence[_OfPrompt]) -> Row:
        condition, probe, said = prompt
        transcript = self._known.transcript(said) if said else ()
        row = self._known.row(condition, probe, transcript)
        spans: dict[Hashable, Span] = {}
        means: dict[Reply, dict[Hashable, int]] = {}
        for reading in members:
            if not isinstance(reading, Reading):
                continue
            if reading.text and not said and reading.position is Position.RESPONSE_MEAN:
                means.setdefault(reading.text, {})[reading] = self._through(reading)
            else:
                spans[reading] = self._span(reading, len(row.ids) - len(transcript), len(row.ids))
        replies = dict.fromkeys([*means, *(member for member in members if isinstance(member, Reply))])
        return replace(
            row,
            spans=spans,
            log_probs=next((member for member in members if isinstance(member, NextToken)), None),
            asked=tuple(self._asked(longest, replies, means) for longest in _longest(replies)),
        )

    def _asked(
        self, longest: Reply, replies: Container[Reply], means: Mapping[Reply, Mapping[Hashable, int]]
    ) -> Asked:
        turns = [
            Turn(reply if reply in replies else None, means.get(reply, {}), before)
            for reply, before in zip(longest.conversation, self._known.between(longest), strict=True)
        ]
        return Asked(longest.decoding, tuple(turns))

    def _span(self, reading: Reading, prompt: int, end: int) -> Span:
        through = self._through(reading)
        if reading.position is Position.RESPONSE_MEAN:
            # Of the last answer alone.
            assert reading.text
            return Span(end - len(self._known.spoken(reading.text).ids), end, through)
        token = self._known.place(reading.position, reading.condition, reading.probe, prompt)
        if token >= end:
            raise MeasurementError(
                f"the reply to probe {reading.probe.id!r} has {end - prompt} token: it has no "
                f"{reading.position}"
            )
        return Span(token, token + 1, through)

    def _through(self, reading: Reading) -> int:
        deepest = len(self._workshop.host.blocks)
        return min(reading.through.depth, deepest) if reading.through else deepest


def _longest(replies: Collection[Reply]) -> list[Reply]:
    """Return the replies that no other of them goes on from."""
    earlier = {said for reply in replies for said in reply.conversation[:-1]}
    return [reply for reply in replies if reply not in earlier]
