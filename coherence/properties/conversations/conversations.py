"""Conversations: a scene's scripts as conversations, under one condition."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coherence.errors import SuiteError
from coherence.plan import Cache, Condition, Likelihood, Reading, Record, Reply, Scene, Turn, UserTurn
from coherence.properties.case import Case, SampleT
from coherence.properties.conversations.axis import Scale
from coherence.properties.reading import at_site
from coherence.vocabulary import Marker, Position, Probe, Script, Site, shown
from coherence.vocabulary.evidence import Sampled

Array = NDArray[np.float64]
LEAST_SCRIPTS = 4


def require_scripts(scripts: Sequence[Script], least: int, name: str, turns: int = 2) -> None:
    """Refuse with a SuiteError what has too few scripts, or one with too few answers of the model's own."""
    if len(scripts) < least:
        raise SuiteError(f"{name} needs at least {least} scripts, and the suite has {len(scripts)} for it")
    for script in scripts:
        answers = sum(turn.assistant is None for turn in script.turns)
        if answers < turns:
            raise SuiteError(
                f"the model answers {answers} of the turns of the script {script.id!r}; "
                f"{name} needs at least {turns}"
            )


class ConversationCase(Case[SampleT]):
    """A case about conversations: its estimates run over the scripts."""

    @property
    def units(self) -> tuple[Sampled, ...]:
        """Scripts, each of them one conversation."""
        return ("scripts",)


@dataclass(frozen=True)
class Conversations:
    """Conversations by script and turn. A turn that the assistant is taken to have answered has no reply."""

    scene: Scene
    scripts: tuple[Script, ...]
    condition: Condition

    @property
    def turns(self) -> int:
        """Turns of the longest script."""
        return max(len(script.turns) for script in self.scripts)

    def reply(self, script: Script, turn: int) -> Reply:
        """Return what the model answers to a turn, from 0."""
        first, *later = script.turns[: turn + 1]
        answered = (before.assistant for before in script.turns)
        turns = tuple(
            Turn(follow_up.user or "", after, user=None if follow_up.user else script.user)
            for follow_up, after in zip(later, answered, strict=False)
        )
        return Reply(self.condition, Probe(id=script.id, text=str(first)), self.scene.decoding, turns)

    @property
    def user_turns(self) -> list[UserTurn]:
        """What users answer in them."""
        last = (self.reply(script, len(script.turns) - 1) for script in self.scripts)
        return [user_turn for reply in last for user_turn in reply.user_turns]

    def asked(self, record: Record, row: int, turn: int) -> str:
        """Look up what the user says at a turn of a script, both from 0."""
        script = self.scripts[row]
        return script.turns[turn].user or record.user_turn(self.reply(script, turn).user_turns[-1])

    @cached_property
    def replies(self) -> dict[tuple[int, int], Reply]:
        """Every answer of the model's own, by script and turn."""
        return {
            (row, column): self.reply(script, column)
            for row, script in enumerate(self.scripts)
            for column, turn in enumerate(script.turns)
            if turn.assistant is None
        }

    def readings(
        self,
        site: Site,
        position: Position = Position.RESPONSE_MEAN,
        cache: Cache | None = None,
        under: Condition | None = None,
    ) -> dict[tuple[int, int], Reading]:
        """Residuals of each answer or of what the user says before it, by default `under` what it is said."""
        return {
            place: Reading(under or self.condition, reply.probe, position, reply, site, cache)
            for place, reply in self.replies.items()
        }

    def likelihoods(self, condition: Condition) -> dict[tuple[int, int], Likelihood]:
        """How likely a condition finds each answer."""
        return {place: Likelihood(condition, reply.probe, reply) for place, reply in self.replies.items()}

    def positions(
        self,
        record: Record,
        scale: Scale,
        site: Site,
        position: Position = Position.RESPONSE_MEAN,
        under: Condition | None = None,
    ) -> Array:
        """Place what is read on an axis: [scripts, turns], NaN where there is no answer."""
        readings = self.readings(site, position, under=under)
        return self._spread(readings, scale.positions(at_site(record, readings.values(), site)))

    def texts(self, record: Record) -> dict[tuple[int, int], str]:
        """Look up what is answered."""
        return {place: record.reply(reply) for place, reply in self.replies.items()}

    def hits(self, texts: Mapping[tuple[int, int], str], markers: Sequence[Marker]) -> Array:
        """1 where an answer holds a marker, or 0: [scripts, turns], NaN where there is no answer."""
        return self._spread(texts, [bool(shown(markers, text)) for text in texts.values()])

    def surprise(self, record: Record, condition: Condition) -> Array:
        """Nats a token that the answers cost a condition, [scripts, turns]; NaN where nothing is said."""
        scored = self.likelihoods(condition)
        log_probs = (record.likelihood(each) for each in scored.values())
        return self._spread(
            scored, [-one.mean(dtype=np.float64) if len(one) else np.nan for one in log_probs]
        )

    def _spread(self, places: Iterable[tuple[int, int]], values: Iterable[Any]) -> Array:
        spread = np.full((len(self.scripts), self.turns), np.nan)
        for place, value in zip(places, values, strict=True):
            spread[place] = value
        return spread
