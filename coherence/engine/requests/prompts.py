"""From measurements to rows: all that is wanted of one prompt is taken from one row."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import replace

from coherence.engine.batch.rows import Mean, Row, Span
from coherence.engine.requests.branches import Branch, Opening
from coherence.engine.requests.job import Job
from coherence.engine.requests.resolved import Beginning, Resolved
from coherence.engine.requests.row_builder import RowBuilder
from coherence.engine.requests.transcript import NOTHING, Transcript
from coherence.errors import CoherenceError, MeasurementError, in_a_sentence
from coherence.plan import Measurement, NextToken, Reading, Reply
from coherence.vocabulary import Position

_OfPrompt = Reply | Reading | NextToken


class PromptRows:
    """The rows of what a job wants of prompts, and an error for every measurement that cannot have one."""

    def __init__(self, builder: RowBuilder, job: Job) -> None:
        self.problems: dict[Measurement, CoherenceError] = {}
        self.made: list[Row] = []
        self._builder = builder
        self._resolved = Resolved(builder, job.known)
        for opening, members in self._by_opening(job.measurements).items():
            try:
                self.made.append(self._row(opening, members))
            except Exception as problem:
                self.problems.update(dict.fromkeys(members, in_a_sentence(problem)))

    def _by_opening(self, measurements: Iterable[Measurement]) -> dict[Opening, list[_OfPrompt]]:
        by_opening: dict[Opening, list[_OfPrompt]] = {}
        for measurement in measurements:
            if isinstance(measurement, _OfPrompt):
                try:
                    by_opening.setdefault(self._opening(measurement), []).append(measurement)
                except Exception as problem:
                    self.problems[measurement] = in_a_sentence(problem)
        return by_opening

    def _opening(self, measurement: _OfPrompt) -> Opening:
        reply = measurement if isinstance(measurement, Reply) else None
        if isinstance(measurement, Reading) and measurement.text:
            if not self._is_captured(measurement):
                beginning = Beginning.of(measurement.text, len(measurement.text.turns) + 1)
                known = self._resolved.has(measurement.text)
                return Opening(measurement.condition, measurement.probe, beginning if known else None)
            reply = measurement.text
        return self._branch(reply).opening if reply else Opening(measurement.condition, measurement.probe)

    def _is_captured(self, reading: Reading) -> bool:
        known = reading.text is not None and self._resolved.has(reading.text)
        return reading.must_be_captured or (reading.is_captured and not known)

    def _branch(self, reply: Reply) -> Branch:
        return Branch(self._builder, self._resolved, reply)

    def _row(self, opening: Opening, members: Sequence[_OfPrompt]) -> Row:
        condition, probe, beginning, offset = opening
        transcript = self._resolved.transcript(beginning, condition) if beginning else NOTHING
        row = replace(self._resolved.row(condition, probe, transcript), offset=offset)
        spans: dict[Hashable, Span] = {}
        means: dict[Reply, dict[Hashable, Mean]] = {}
        for reading in members:
            if not isinstance(reading, Reading):
                continue
            if reading.text and self._is_captured(reading):
                means.setdefault(reading.text, {})[reading] = Mean(self._through(reading), reading.part)
            else:
                spans[reading] = self._span(reading, beginning, transcript, len(row.ids))
        replies = [member for member in members if isinstance(member, Reply)]
        continuations = tuple(
            self._branch(longest).continuation(row, replies, means)
            for longest in _longest(dict.fromkeys([*means, *replies]))
        )
        return replace(
            row,
            spans=spans,
            log_probs=next((member for member in members if isinstance(member, NextToken)), None),
            continuations=continuations,
            # What is put into its cache must not be seen by others.
            group=None if any(one.is_edited for one in continuations) else row.group,
        )

    def _span(self, reading: Reading, beginning: Beginning | None, transcript: Transcript, end: int) -> Span:
        prompt = end - len(transcript.ids)
        if reading.position.spoken and reading.text:
            narrow = (
                self._resolved.spoken if reading.position is Position.RESPONSE_MEAN else self._resolved.part
            )
            transcript = transcript.narrowed(narrow(reading.text, reading.part))
        tokens = self._resolved.place(
            reading.position,
            reading.condition,
            reading.probe,
            prompt,
            transcript,
            beginning.turns if beginning else (),
        )
        if tokens.stop > end:
            raise MeasurementError(
                f"the reply to probe {reading.probe.id!r} has {end - tokens.start + 1} token: it has no "
                f"{reading.position}"
            )
        return Span(tokens.start, tokens.stop, self._through(reading))

    def _through(self, reading: Reading) -> int:
        deepest = len(self._builder.host.blocks)
        return min(reading.through.depth, deepest) if reading.through else deepest


def _longest(replies: Collection[Reply]) -> list[Reply]:
    """Return the replies that no other of them goes on from."""
    earlier = {begun for reply in replies for begun in reply.conversation[:-1]}
    return [reply for reply in replies if reply not in earlier]
