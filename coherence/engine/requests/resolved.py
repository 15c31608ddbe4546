"""What was measured before a job: the tokens of replies that are read, and the residuals of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from coherence.engine.batch.rows import AxisCap, Patched, Row, RowCap
from coherence.engine.model.reasoning import missing
from coherence.engine.requests.row_builder import RowBuilder
from coherence.engine.requests.transcript import NOTHING, Transcript
from coherence.errors import CoherenceError, MeasurementError
from coherence.plan import Answer, Condition, Measurement, Outcome, Patch, Reading, Reply, Turn, Value
from coherence.plan.record import Array
from coherence.vocabulary import Part, Position, Probe, Site

_Prompt = tuple[Condition, Probe]


class Beginning(NamedTuple):
    """The first answers of a conversation."""

    reply: Reply
    answers: int

    @classmethod
    def of(cls, reply: Reply, answers: int) -> Beginning:
        """Name the first answers by what they depend on, and nothing that comes after them."""
        turns = reply.turns[: answers - 1]
        if answers <= len(reply.turns) and reply.turns[answers - 1].after is not None:
            turns = (*turns, Turn("", reply.turns[answers - 1].after))
        whole = answers > len(reply.turns)
        return cls(replace(reply, turns=turns, given=reply.given if whole else None), answers)

    @property
    def turns(self) -> list[str]:
        """What the user says between the answers."""
        return [turn.text for turn in self.reply.turns[: self.answers - 1]]


class Resolved:
    """Replies and residuals by measurement, as rows need them. What went wrong with one is raised again."""

    def __init__(self, builder: RowBuilder, values: Mapping[Measurement, Outcome]) -> None:
        self._builder = builder
        self._values = values
        self._suffixes: dict[_Prompt, tuple[int, ...]] = {}

    def has(self, reply: Reply) -> bool:
        """Whether the whole conversation is known."""
        return self._values.keys() >= set(reply.conversation)

    def answer(self, reply: Reply) -> Answer:
        """Return the tokens and text of a reply that was said; where it failed, its error is raised."""
        if reply.given is not None:
            return Answer(reply.given, self._encoded(reply.given)[: reply.decoding.max_new_tokens])
        answer = self._get(reply)
        assert isinstance(answer, Answer)
        return answer

    def part(self, reply: Reply, part: Part) -> range:
        """Return the tokens of a part of a reply, from its first; a MeasurementError when it has no such."""
        answer = self.answer(reply)
        if lacking := missing(part, answer.reasoning, f"the reply to probe {reply.probe.id!r}"):
            raise MeasurementError(lacking)
        reasoned = answer.reasoning.tokens if answer.reasoning else 0
        ends = {
            Part.ANSWER: (reasoned, len(answer.ids)),
            Part.REASONING: (0, reasoned),
            Part.BOTH: (0, len(answer.ids)),
        }
        return range(*ends[part])

    def spoken(self, reply: Reply, part: Part) -> range:
        """Return the same; a MeasurementError when there are none."""
        tokens = self.part(reply, part)
        if not tokens:
            raise MeasurementError(f"the reply to probe {reply.probe.id!r} is empty: it has no response_mean")
        return tokens

    def between(self, reply: Reply, condition: Condition) -> list[tuple[int, ...]]:
        """Token ids before each answer of a conversation, as the prompts of a condition have them."""
        turns = [turn.text for turn in reply.turns]
        if not turns:
            return [()]
        with self._builder.artefacts.blaming("base"):
            return [(), *self._builder.chat.turns_after(condition, reply.probe, turns)]

    def answer_ids(self, reply: Reply, count: int) -> tuple[int, ...]:
        """Token ids of an answer of a conversation, from 0: the model's own, or what it is taken to be."""
        after = reply.turns[count].after if count < len(reply.turns) else None
        if after is None:
            return self.answer(reply.through(count)).ids
        return self._encoded(after)

    def _encoded(self, text: str) -> tuple[int, ...]:
        with self._builder.artefacts.blaming("base"):
            return self._builder.chat.encode_text(text)

    def transcript(self, beginning: Beginning, condition: Condition) -> Transcript:
        """Return the beginning of a conversation between the prompts of a condition."""
        if condition.thinking != beginning.reply.condition.thinking:
            raise MeasurementError(
                f"a reply said with `thinking: {beginning.reply.condition.thinking}` cannot be read with "
                f"`thinking: {condition.thinking}`, where the prompt begins it otherwise: probe "
                f"{beginning.reply.probe.id!r}; expected `text: own`, or one of them for both"
            )
        begun = replace(beginning.reply, turns=beginning.reply.turns[: beginning.answers - 1])
        answers = [self.answer_ids(beginning.reply, count) for count in range(beginning.answers)]
        return Transcript.of(self.between(begun, condition), answers)

    def row(self, condition: Condition, probe: Probe, transcript: Transcript = NOTHING) -> Row:
        """Make the row of a probe under a condition, its patch and cap among it, followed by a transcript."""
        row = self._builder.row(condition, probe, transcript.ids)
        prompt = len(row.ids) - len(transcript.ids)
        # After a prompt alone an answer is to begin.
        spans = tuple((prompt + first, prompt + end) for first, end in transcript.answers or ((0, 0),))
        row = replace(row, capped=self.capped(condition), answers=spans)
        if condition.patch is None:
            return row
        token, *others = self.place(condition.patch.position, condition, probe, prompt) or [len(row.ids)]
        if others or token >= len(row.ids):
            raise MeasurementError(
                f"the patch at {condition.patch.position} lies beyond the text: {row.label}"
            )
        if condition.patch.position is not Position.USER_LAST:
            self._require_one_suffix(condition.patch, (condition, probe))
        return replace(row, patch=Patched(token, self._residuals(condition.patch)))

    def capped(self, condition: Condition) -> RowCap | None:
        """Return the bounds of a condition."""
        cap = condition.cap
        if cap is None:
            return None
        self._require_sites(cap.sites)
        low, high = (
            np.asarray(np.mean([self._array(reading) for reading in readings], axis=0, dtype=np.float64))
            for readings in (cap.low, cap.high)
        )
        bounds = {site.depth: _bound(low[site.depth], high[site.depth], cap.at, site) for site in cap.sites}
        return RowCap(bounds, cap.tokens)

    def place(
        self,
        position: Position,
        condition: Condition,
        probe: Probe,
        prompt: int,
        transcript: Transcript = NOTHING,
        turns: Sequence[str] = (),
    ) -> range:
        """Return the tokens of a position, after a prompt of so many and a transcript with further turns."""
        if position in (Position.TURN_LAST, Position.USER_LAST, Position.USER_MEAN):
            start = prompt + transcript.turned if turns else len(self._builder.mounted.ahead(condition))
            tokens = self._user_tokens(position, condition, probe, turns)
            return range(start + tokens.start, start + tokens.stop)
        begun, end = (prompt + token for token in (transcript.answers[-1] if transcript.answers else (0, 0)))
        if position is Position.RESPONSE_MEAN:
            return range(begun, end)
        token = begun + (Position.PROMPT_LAST, Position.G1, Position.G2).index(position) - 1
        return range(token, token + 1)

    def _user_tokens(
        self, position: Position, condition: Condition, probe: Probe, turns: Sequence[str]
    ) -> range:
        """Return the tokens of a position in the user's last turn, counted from where that begins."""
        with self._builder.artefacts.blaming("base"):
            if position is Position.TURN_LAST:
                token = self._builder.chat.turn_last(condition, probe, turns)
                return range(token, token + 1)
            tokens = self._builder.chat.user_tokens(condition, probe, turns)
        return tokens if position is Position.USER_MEAN else tokens[-1:]

    def _require_one_suffix(self, patch: Patch, prompt: _Prompt) -> None:
        # Else one token is put in the place of another that says something else.
        for reading in (reading for _, reading in patch.sum):
            if self._suffix(reading.condition, reading.probe) != self._suffix(*prompt):
                raise MeasurementError(
                    f"the prompts of probes {prompt[1].id!r} and {reading.probe.id!r} end differently after "
                    f"what the user says; expected the same tokens, for a patch at {patch.position}"
                )

    def _suffix(self, condition: Condition, probe: Probe) -> tuple[int, ...]:
        plain = replace(condition, patch=None)
        if (plain, probe) not in self._suffixes:
            with self._builder.artefacts.blaming("base"):
                self._suffixes[plain, probe] = self._builder.chat.generation_suffix(plain, probe)
        return self._suffixes[plain, probe]

    def _residuals(self, patch: Patch) -> dict[int, torch.Tensor]:
        self._require_sites(patch.sites)
        terms = [(weight, self._array(reading)) for weight, reading in patch.sum]
        return {
            depth: torch.from_numpy(np.sum([weight * term[depth] for weight, term in terms], axis=0))
            for depth in (site.depth for site in patch.sites)
        }

    def _require_sites(self, sites: Sequence[Site]) -> None:
        deepest = len(self._builder.host.blocks)
        for site in sites:
            if site.depth > deepest:
                last = Site.at_depth(deepest)
                raise MeasurementError(f"{site} lies beyond the model, whose last site is {last}")

    def _array(self, reading: Reading) -> Array:
        values = self._get(reading)
        assert isinstance(values, np.ndarray)
        return values

    def _get(self, measurement: Measurement) -> Value:
        outcome = self._values[measurement]
        if isinstance(outcome, CoherenceError):
            raise outcome
        return outcome


def _bound(low: NDArray[np.float64], high: NDArray[np.float64], at: float, site: Site) -> AxisCap:
    axis = high - low
    length = np.linalg.norm(axis)
    if length == 0:
        raise MeasurementError(f"the axis of the cap has no length at {site}: its two ends are the same")
    unit = axis / length
    return AxisCap(torch.tensor(unit, dtype=torch.float32), float((low + at * axis) @ unit))
