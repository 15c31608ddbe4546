"""Conversations that are displaced and released, and the same conversations unmoved."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from coherence.errors import SuiteError
from coherence.plan import Cache, Condition, Measurement, Record, Reply, Scene
from coherence.properties.conversations.axis import Axis
from coherence.properties.conversations.conversations import (
    LEAST_SCRIPTS,
    Array,
    Conversations,
    require_scripts,
)
from coherence.vocabulary import Regime, Script
from coherence.vocabulary.script import Kind, ScriptTurn


class Imposed(StrEnum):
    """What displaces a conversation: a regime, for its first turns, or the turns before."""

    PROMPT = "prompt"
    ADAPTER = "adapter"
    STEERING = "steering"
    TURNS = "turns"

    @property
    def regime(self) -> Regime | None:
        """The regime that does; none of turns."""
        return None if self is Imposed.TURNS else Regime.parse(self.value)

    @property
    def graded(self) -> bool:
        """Whether it can be imposed in part."""
        return self in (Imposed.ADAPTER, Imposed.STEERING)


@dataclass(frozen=True)
class Released(Conversations):
    """Conversations whose condition is there for some turns and then gone; the bare model is bare throughout.

    A prompt goes from the cache as well, which is made anew of the transcript. What an adapter or a vector
    has done to the cache stays in it.
    """

    held: int

    def reply(self, script: Script, turn: int) -> Reply:
        """Return what the model answers to a turn, from 0."""
        reply = super().reply(script, turn)
        if turn < self.held or self.condition == self.scene.bare:
            return reply
        turns = list(reply.turns)
        cache = Cache.REBUILT if self.condition.prompts else Cache.KEPT
        turns[self.held - 1] = replace(turns[self.held - 1], condition=self.scene.bare, cache=cache)
        return replace(reply, turns=tuple(turns))


@dataclass(frozen=True)
class Displaced:
    """Conversations and the same unmoved; `released` is the turn of each, from 0, that is its release.

    The unmoved ones have the same turns from there on, and may lack some before.
    """

    moved: Conversations
    unmoved: Conversations
    released: tuple[int, ...]

    @classmethod
    def by_regime(cls, scene: Scene, condition: Condition, turns: int) -> "Displaced":
        """Impose a condition for the first turns: their last answer is the release."""
        scripts = tuple(map(at_rest, scene.scripts))
        require_scripts(scripts, LEAST_SCRIPTS, "basin", turns + 1)
        moved = Released(scene, scripts, condition, turns)
        return cls(moved, Conversations(scene, scripts, scene.bare), (turns - 1,) * len(scripts))

    @classmethod
    def by_turns(cls, scene: Scene) -> "Displaced":
        """Impose what scripts begin with: the first answer after it is the release."""
        scripts = tuple(script for script in scene.scripts if imposing(script))
        if not scripts:
            raise SuiteError(
                "imposed by turns: no script has a turn of another kind than neutral, or one whose answer is "
                "written down, to begin with"
            )
        require_scripts(scripts, LEAST_SCRIPTS, "basin", 0)
        for script in scripts:
            if len(script.turns) < imposing(script) + 2:
                raise SuiteError(
                    f"turns of the script {script.id!r} after those that impose something: found "
                    f"{len(script.turns) - imposing(script)}, expected at least 2, to see what becomes of it"
                )
        unmoved = Conversations(scene, tuple(map(at_rest, scripts)), scene.bare)
        return cls(Conversations(scene, scripts, scene.bare), unmoved, tuple(map(imposing, scripts)))

    @property
    def scripts(self) -> list[str]:
        """Ids of the scripts, each a cluster of its own."""
        return [script.id for script in self.moved.scripts]

    @property
    def since(self) -> int:
        """How many turns after the release all of them have."""
        turns = (len(script.turns) for script in self.moved.scripts)
        return min(count - 1 - at for count, at in zip(turns, self.released, strict=True))

    def needs(self, axes: Sequence[Axis]) -> Iterable[Measurement]:
        """Both kinds of conversations, read where the axes are."""
        for conversations in (self.moved, self.unmoved):
            yield from conversations.replies.values()
            for axis in axes:
                yield from conversations.readings(axis.site).values()

    def displacement(self, record: Record, axis: Axis) -> Array:
        """How far they are from the unmoved ones along an axis: [scripts, 1 + turns since release]."""
        moved, unmoved = (
            self._from_release(record, axis, conversations) for conversations in (self.moved, self.unmoved)
        )
        return moved - unmoved

    def unmoved_at(self, record: Record, axis: Axis) -> float:
        """Where the unmoved ones stand on an axis, on average."""
        return float(self._from_release(record, axis, self.unmoved).mean())

    def said(self, record: Record, row: int) -> dict[str, str]:
        """Show what one of them answers at its release and at the end, and what it answers unmoved."""
        at, last = self.released[row], self.released[row] + self.since
        script = self.moved.scripts[row]
        rest = self.unmoved.scripts[row]
        shown = {
            "at release": self.moved.reply(script, at),
            f"{self.since} turns later": self.moved.reply(script, last),
            "unmoved": self.unmoved.reply(rest, last - len(script.turns) + len(rest.turns)),
        }
        return {name: record.reply(reply) for name, reply in shown.items()}

    def _from_release(self, record: Record, axis: Axis, conversations: Conversations) -> Array:
        positions = conversations.positions(record, axis.measured(record), axis.site)
        lengths = [len(script.turns) for script in self.moved.scripts]
        behind = [
            length - len(script.turns) for length, script in zip(lengths, conversations.scripts, strict=True)
        ]
        return np.stack(
            [
                row[at - lacks : at - lacks + self.since + 1]
                for row, at, lacks in zip(positions, self.released, behind, strict=True)
            ]
        )


def imposing(script: Script) -> int:
    """How many turns a script has up to the last that presses, or whose answer is written down."""
    return max((count for count, turn in enumerate(script.turns, 1) if _imposes(turn)), default=0)


def at_rest(script: Script) -> Script:
    """Leave out turns that press, and let the model answer all others itself."""
    turns = tuple(
        turn.model_copy(update={"assistant": None}) for turn in script.turns if turn.kind is Kind.NEUTRAL
    )
    if not turns:
        raise SuiteError(f"the script {script.id!r} has no neutral turn, and an unmoved one would be empty")
    return script.model_copy(update={"turns": turns})


def _imposes(turn: ScriptTurn) -> bool:
    return turn.kind is not Kind.NEUTRAL or turn.assistant is not None
