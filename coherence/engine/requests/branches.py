"""Branches of conversations: what of one is read at once, what is run, and what is changed on its way."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

from coherence.engine.batch.rows import Arrangement, Continuation, Donor, Exchange, Mean, Row, Under
from coherence.engine.requests.resolved import Beginning, Resolved
from coherence.engine.requests.row_builder import RowBuilder
from coherence.errors import MeasurementError
from coherence.plan import Cache, Condition, Reply
from coherence.vocabulary import Decoding, Probe

# A row that is run for its keys and values keeps them.
_KEPT = (Continuation(Decoding(max_new_tokens=1), (Exchange(),)),)


class Opening(NamedTuple):
    """What is run first: a probe under a condition, and the conversation that is read at once after it.

    `offset` is the position of the first token.
    """

    condition: Condition
    probe: Probe
    beginning: Beginning | None = None
    offset: int = 0


class Branch:
    """A reply's conversation from where its cache was made last. Answers are counted from 0."""

    def __init__(self, builder: RowBuilder, known: Resolved, reply: Reply) -> None:
        self._builder, self._resolved, self._reply = builder, known, reply
        rebuilt = [count for count, turn in enumerate(reply.turns, 1) if turn.cache is Cache.REBUILT]
        self._first = max(rebuilt, default=0)
        changed = [turn.condition for turn in reply.turns[: self._first] if turn.condition]
        self._condition = changed[-1] if changed else reply.condition
        edits = {count: turn.edit for count, turn in enumerate(reply.turns, 1) if turn.edit}
        self._edits = {count: edit for count, edit in edits.items() if count >= self._first}

    @property
    def opening(self) -> Opening:
        """The prompt, and what was said since the KV cache was made last: it is read in one prefill."""
        read = self._read
        beginning = Beginning.of(self._reply, read) if read else None
        return Opening(self._condition, self._reply.probe, beginning, max([0, *self._shifts()]))

    def continuation(
        self, row: Row, replies: Container[Reply], means: Mapping[Reply, Mapping[Hashable, Mean]]
    ) -> Continuation:
        """Go on from the row of its opening: to the `replies`, with means over them.

        A MeasurementError says why this model cannot have such a conversation.
        """
        later = range(self._read, len(self._reply.turns) + 1)
        if not self._builder.host.packs and any(self._is_changed(count) for count in later):
            raise self._unchangeable(row)
        exchanges = [self._exchange(count, row, replies, means) for count in later]
        # What was read has ended: the first of them begins with what comes before it.
        begun = (Exchange(forced=()),) if self._read else ()
        marks = self._builder.chat.marks(self._condition.thinking)
        decoding = self._builder.artefacts.decoding(self._reply.decoding)
        continuation = Continuation(decoding, (*begun, *exchanges), marks)
        if continuation.keeps_its_cache and len(row.ids) + continuation.tokens > self._builder.host.packs:
            raise self._unchangeable(row)
        return continuation

    def _unchangeable(self, row: Row) -> MeasurementError:
        return MeasurementError(
            f"the cache of this model cannot be changed on the way, after {len(row.ids)} tokens: its "
            "attention is its own, its layers have states, or there is a window of "
            f"{self._builder.host.packs} tokens; {row.label}"
        )

    def _exchange(
        self,
        count: int,
        row: Row,
        replies: Container[Reply],
        means: Mapping[Reply, Mapping[Hashable, Mean]],
    ) -> Exchange:
        before = self._between[count]
        change = self._reply.turns[count - 1].condition if count > self._first else None
        under = self._under(change, row) if change else None
        donor = self._donor(count, row) if count in self._edits else None
        if self._is_known(count):
            return Exchange(
                before=before, forced=self._resolved.answer_ids(self._reply, count), under=under, donor=donor
            )
        reply = replace(self._reply, turns=self._reply.turns[:count])
        return Exchange(
            reply if reply in replies else None,
            means.get(reply, {}),
            before,
            expected=self._resolved.answer(reply).ids if self._resolved.has(reply) else None,
            under=under,
            donor=donor,
        )

    @cached_property
    def _between(self) -> list[tuple[int, ...]]:
        return self._resolved.between(self._reply, self._condition)

    @cached_property
    def _read(self) -> int:
        """How many answers are read at once: those known before the cache or the model is changed."""
        read = self._first
        while self._is_known(read) and not self._is_changed(read):
            read += 1
        return read

    def _is_known(self, count: int) -> bool:
        turns = self._reply.turns
        return count < self._reply.begun or (count < len(turns) and turns[count].after is not None)

    def _is_changed(self, count: int) -> bool:
        changed = count > self._first and self._reply.turns[count - 1].condition is not None
        return changed or count in self._edits

    def _under(self, condition: Condition, row: Row) -> Under:
        reply = self._reply
        if self._begins(condition) != self._begins(self._condition):
            raise MeasurementError(
                f"the prompt changes on the way, and the cache is kept: {row.label}; "
                "expected a cache that is rebuilt, for what is kept holds the prompt as it was"
            )
        new = self._alike(self._resolved.row(condition, reply.probe), row)
        return Under(new.adapters, new.deltas, new.steered, new.capped)

    def _begins(self, condition: Condition) -> tuple[object, ...]:
        return _prompted(condition), self._builder.mounted.ahead(condition)

    def _alike(self, other: Row, row: Row) -> Row:
        if any(self._builder.host.begins_anew(one.adapters) for one in (row, other)):
            raise MeasurementError(
                f"activated LoRA begins anew with every turn, and the cache is kept: {other.label}; "
                "expected a cache that is rebuilt"
            )
        if (other.switched, other.way) != (row.switched, row.way):
            raise MeasurementError(
                f"what changes on the way cannot act on single rows of a batch: {other.label}; "
                "expected LoRA adapters that can"
            )
        return other

    def _shifts(self) -> Iterator[int]:
        """Yield how much longer the prompt of each donor is."""
        prompt = self._prompt(self._condition)
        return (self._prompt(edit.donor) - prompt for edit in self._edits.values())

    def _prompt(self, condition: Condition) -> int:
        return len(self._builder.mounted.prompt(condition, self._reply.probe))

    def _donor(self, count: int, row: Row) -> Donor:
        edit = self._edits[count]
        own, theirs = (
            self._resolved.transcript(Beginning.of(self._reply, count), condition)
            for condition in (self._condition, edit.donor)
        )
        prompt, donated = self._prompt(self._condition), self._prompt(edit.donor)
        offset = row.offset - (donated - prompt)
        if own.answers != theirs.answers:
            raise MeasurementError(
                f"the answers do not stand at the same places of the donor's transcript: {row.label}; "
                "expected a donor whose prompts stand in the system turn"
            )
        if (row.offset or offset) and not self._builder.host.shifts:
            raise MeasurementError(
                f"the donor's prompt is {abs(donated - prompt)} tokens longer or shorter, and this model "
                f"does not count positions from each other: {row.label}; expected prompts of one length"
            )
        donor = self._alike(self._resolved.row(edit.donor, self._reply.probe, theirs), row)
        return Donor(
            replace(donor, offset=offset, arrangement=Arrangement.PACKED, continuations=_KEPT),
            tuple(theirs.places(donated)),
            tuple(own.places(prompt)),
            tuple(dict.fromkeys(site.block for site in edit.sites)),
        )


def _prompted(condition: Condition) -> tuple[object, ...]:
    return condition.neutral, condition.prompts, condition.thinking
