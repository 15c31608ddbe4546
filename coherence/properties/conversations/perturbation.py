"""Conversations that are displaced and released, and the same conversations unmoved."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain

from coherence.errors import SuiteError
from coherence.plan import Cache, Condition, Reading, Reply, Scene
from coherence.properties.conversations.conversations import LEAST_SCRIPTS, Conversations, require_scripts
from coherence.vocabulary import Position, Regime, Script, Site
from coherence.vocabulary.script import Kind, ScriptTurn


class Imposed(StrEnum):
    """What displaces a conversation: a regime, for its first turns, or the turns before."""

    PROMPT = "prompt"
    ADAPTER = "adapter"
    STEERING = "steering"
    TURNS = "turns"

    @property
    def regimes(self) -> tuple[Regime, ...]:
        """The regime that does; none for turns."""
        return () if self is Imposed.TURNS else (Regime.parse(self.value),)

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
    """Conversations by the name of what displaces them, and the same unmoved.

    The unmoved ones have the same turns from the release on, and may lack some before: `after` is how many
    turns follow it in each script.
    """

    moved: Mapping[str, Conversations]
    unmoved: Conversations
    after: tuple[int, ...]

    @classmethod
    def by_regime(cls, scene: Scene, conditions: Mapping[str, Condition], turns: int) -> "Displaced":
        """Impose each condition for the first turns: their last answer is the release."""
        scripts = tuple(map(at_rest, scene.scripts))
        require_scripts(scripts, LEAST_SCRIPTS, "basin", turns + 1)
        moved = {name: Released(scene, scripts, condition, turns) for name, condition in conditions.items()}
        after = tuple(len(script.turns) - turns for script in scripts)
        return cls(moved, Conversations(scene, scripts, scene.bare), after)

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
        left = {script.id: len(script.turns) - imposing(script) for script in scripts}
        for name, turns in left.items():
            if turns < 2:
                raise SuiteError(
                    f"turns of the script {name!r} after those that impose something: found {turns}, "
                    "expected at least 2, to see what becomes of it"
                )
        moved = {str(Imposed.TURNS): Conversations(scene, scripts, scene.bare)}
        unmoved = Conversations(scene, tuple(map(at_rest, scripts)), scene.bare)
        return cls(moved, unmoved, tuple(turns - 1 for turns in left.values()))

    @property
    def all(self) -> tuple[Conversations, ...]:
        """Those that are displaced, and the unmoved ones last."""
        return (*self.moved.values(), self.unmoved)

    @property
    def since(self) -> int:
        """How many turns after the release all of them have."""
        return min(self.after)

    def answers(self, conversations: Conversations) -> list[list[Reply]]:
        """List the answers of one of them from the release on, `1 + since` for each script."""
        releases = (
            len(script.turns) - 1 - after
            for script, after in zip(conversations.scripts, self.after, strict=True)
        )
        return [
            [conversations.reply(script, release + turn) for turn in range(1 + self.since)]
            for script, release in zip(conversations.scripts, releases, strict=True)
        ]

    def readings(self, conversations: Conversations, site: Site) -> list[Reading]:
        """Read these answers up to a site, script by script."""
        return [
            Reading(conversations.condition, reply.probe, Position.RESPONSE_MEAN, reply, site)
            for reply in chain.from_iterable(self.answers(conversations))
        ]


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
    if turns[0].user is None:
        raise SuiteError(
            f"the first neutral turn of the script {script.id!r} is not written, and an unmoved one would "
            "begin with it; expected words of the user's"
        )
    return script.model_copy(update={"turns": turns})


def _imposes(turn: ScriptTurn) -> bool:
    return turn.kind is not Kind.NEUTRAL or turn.assistant is not None
