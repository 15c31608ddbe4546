"""What was measured before a job: the tokens of replies that are read, and the residuals of patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from coherence.engine.chat import generation_suffix, last_user_token, turns_after
from coherence.engine.rows import Patched, Row
from coherence.errors import CoherenceError, MeasurementError
from coherence.plan import Answer, Condition, Measurement, Outcome, Patch, Reading, Reply, Value
from coherence.plan.record import Array
from coherence.vocabulary import Position, Probe, Site

if TYPE_CHECKING:
    from coherence.engine.workshop import Workshop


_Prompt = tuple[Condition, Probe]


class Known:
    """Replies and residuals by measurement, as rows need them. What went wrong with one is raised again."""

    def __init__(self, workshop: Workshop, values: Mapping[Measurement, Outcome]) -> None:
        self._workshop = workshop
        self._values = values
        self._suffixes: dict[_Prompt, tuple[int, ...]] = {}

    def has(self, reply: Reply) -> bool:
        """Whether the whole conversation is known."""
        return self._values.keys() >= set(reply.conversation)

    def answer(self, reply: Reply) -> Answer:
        """Return what was said."""
        said = self._get(reply)
        assert isinstance(said, Answer)
        return said

    def spoken(self, reply: Reply) -> Answer:
        """Return what was said; a MeasurementError when that is nothing."""
        said = self.answer(reply)
        if not said.ids:
            raise MeasurementError(f"the reply to probe {reply.probe.id!r} is empty: it has no response_mean")
        return said

    def between(self, reply: Reply) -> list[tuple[int, ...]]:
        """Token ids before each answer of a conversation."""
        if not reply.turns:
            return [()]
        with self._workshop.artefacts.blaming("base"):
            tokenizer = self._workshop.host.tokenizer
            return [(), *turns_after(tokenizer, reply.condition, reply.probe, reply.turns)]

    def transcript(self, reply: Reply) -> tuple[int, ...]:
        """Token ids of a conversation, from its first answer to its last."""
        answers = [self.spoken(said).ids for said in reply.conversation]
        pairs = zip(self.between(reply), answers, strict=True)
        return tuple(token for pair in pairs for ids in pair for token in ids)

    def row(self, condition: Condition, probe: Probe, response: Sequence[int] = ()) -> Row:
        """Make the row of a probe under a condition, its patch among it, followed by response tokens."""
        row = self._workshop.row(condition, probe, response)
        if condition.patch is None:
            return row
        token = self.place(condition.patch.position, condition, probe, len(row.ids) - len(response))
        if token >= len(row.ids):
            raise MeasurementError(
                f"the patch at {condition.patch.position} lies beyond the text: {row.label}"
            )
        if condition.patch.position is not Position.USER_LAST:
            self._require_one_suffix(condition.patch, (condition, probe))
        # It begins as its group does without patches.
        group = replace(condition, patch=None)
        return replace(row, patch=Patched(token, self._residuals(condition.patch)), group=group)

    def place(self, position: Position, condition: Condition, probe: Probe, prompt: int) -> int:
        """Return the index of a position that is one token, after a prompt of so many."""
        if position is Position.USER_LAST:
            with self._workshop.artefacts.blaming("base"):
                return last_user_token(self._workshop.host.tokenizer, condition, probe)
        return prompt + (Position.PROMPT_LAST, Position.G1, Position.G2).index(position) - 1

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
            with self._workshop.artefacts.blaming("base"):
                tokenizer = self._workshop.host.tokenizer
                self._suffixes[plain, probe] = generation_suffix(tokenizer, plain, probe)
        return self._suffixes[plain, probe]

    def _residuals(self, patch: Patch) -> dict[int, torch.Tensor]:
        deepest = len(self._workshop.host.blocks)
        for site in patch.sites:
            if site.depth > deepest:
                last = Site.at_depth(deepest)
                raise MeasurementError(f"{site} lies beyond the model, whose last site is {last}")
        terms = [(weight, self._array(reading)) for weight, reading in patch.sum]
        return {
            depth: torch.from_numpy(np.sum([weight * term[depth] for weight, term in terms], axis=0))
            for depth in (site.depth for site in patch.sites)
        }

    def _array(self, reading: Reading) -> Array:
        found = self._get(reading)
        assert isinstance(found, np.ndarray)
        return found

    def _get(self, measurement: Measurement) -> Value:
        found = self._values[measurement]
        if isinstance(found, CoherenceError):
            raise found
        return found
