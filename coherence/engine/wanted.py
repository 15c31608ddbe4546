"""From measurements to rows: all that is wanted of one prompt is taken from one row."""

from __future__ import annotations

from collections.abc import Collection, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from coherence.engine.chat import last_user_token, turns_after
from coherence.engine.job import Job
from coherence.engine.rows import Asked, Row, Span, Turn
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
                said = text if text and self._known.keys() >= set(text.conversation) else None
                found.setdefault((measurement.condition, measurement.probe, said), []).append(measurement)
        return found

    def _row(self, prompt: _Prompt, members: Sequence[Measurement]) -> Row:
        condition, probe, said = prompt
        transcript = self._transcript(said) if said else ()
        row = self._workshop.row(condition, probe, transcript)
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
            for reply, before in zip(longest.conversation, self._between(longest), strict=True)
        ]
        return Asked(longest.decoding, tuple(turns))

    def _between(self, reply: Reply) -> list[tuple[int, ...]]:
        """Token ids before each answer of a conversation."""
        if not reply.turns:
            return [()]
        with self._workshop.artefacts.blaming("base"):
            tokenizer = self._workshop.host.tokenizer
            return [(), *turns_after(tokenizer, reply.condition, reply.probe, reply.turns)]

    def _transcript(self, reply: Reply) -> tuple[int, ...]:
        """Token ids of a known conversation, from its first answer to its last."""
        answers = [self._answer(said).ids for said in reply.conversation]
        between = self._between(reply)
        return tuple(token for pair in zip(between, answers, strict=True) for ids in pair for token in ids)

    def _span(self, reading: Reading, prompt: int, end: int) -> Span:
        through = self._through(reading)
        if reading.position is Position.RESPONSE_MEAN:
            # Of the last answer alone.
            assert reading.text
            return Span(end - len(self._answer(reading.text).ids), end, through)
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


def _longest(replies: Collection[Reply]) -> list[Reply]:
    """Return the replies that no other of them goes on from."""
    earlier = {said for reply in replies for said in reply.conversation[:-1]}
    return [reply for reply in replies if reply not in earlier]
