"""A script: a conversation whose user turns are written down; the model answers, or is taken to have."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from coherence import limits
from coherence.errors import did_you_mean
from coherence.vocabulary.probe import slug
from coherence.vocabulary.user import User


class Kind(StrEnum):
    """What the user's turns do to a persona: nothing, push it away, or try to break it."""

    NEUTRAL = "neutral"
    PRESSURE = "pressure"
    ADVERSARIAL = "adversarial"


class ScriptTurn(BaseModel):
    """What the user says, and what the assistant is taken to answer, if it is not the model that answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str | None = Field(
        min_length=1, description="What the user says; null: whatever the script's `user` answers."
    )
    assistant: str | None = Field(
        None, min_length=1, description="What the assistant is taken to answer; default: the model answers."
    )
    kind: Kind = Field(Kind.NEUTRAL, description="What the turn does to the persona.")

    def __str__(self) -> str:
        return self.user or "(what the user answers)"


class Script(BaseModel):
    """A scripted conversation, put to the model under every regime: what a probe is, over several turns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(
        pattern=r"^[A-Za-z0-9_.-]+$",
        max_length=limits.NAME,
        description="Short ASCII name, unique within the suite.",
    )
    turns: tuple[ScriptTurn, ...] = Field(
        min_length=1, max_length=limits.TURNS, description="The user's turns, in their order."
    )
    user: User | None = Field(
        None, description="Another model that says what the user does, where nothing is written."
    )
    length: int | None = Field(
        None, ge=1, le=limits.TURNS, description="Turns in all, where the user goes on from those written."
    )

    @model_validator(mode="after")
    def _is_begun(self) -> Self:
        unwritten = [count for count, turn in enumerate(self.turns, 1) if turn.user is None]
        if unwritten[:1] == [1]:
            raise ValueError("its first turn is not written; expected what the conversation begins with")
        if unwritten and self.user is None:
            raise ValueError(f"turn {unwritten[0]} is not written; expected text, or a `user` that answers")
        if (self.user or self.length) and not unwritten:
            raise ValueError("all of its turns are written; expected a `length` of more than these")
        return self

    @property
    def kind(self) -> Kind:
        """The strongest kind of its turns: one that tries to break the persona is adversarial."""
        return max((turn.kind for turn in self.turns), key=[*Kind].index)

    @property
    def released(self) -> int | None:
        """After how many turns only neutral ones follow; None where there are no others, or none follow."""
        pressing = (count for count, turn in enumerate(self.turns, 1) if turn.kind is not Kind.NEUTRAL)
        pressed = max(pressing, default=0)
        return pressed if 0 < pressed < len(self.turns) else None


def _written_out(written: object) -> object:
    """Give turns the form of `ScriptTurn`, and a script without an id one made of its first words."""
    if isinstance(written, list):
        written = {"turns": written}
    if not isinstance(written, dict) or not isinstance(written.get("turns"), list):
        return written
    script: dict[str, Any] = dict(written)
    kind = _known(script.pop("kind", None))
    script["turns"] = [_of_kind(turn, kind) for turn in _lengthened(script)]
    first = script["turns"][0].get("user") if script["turns"] else None
    return {"id": slug(first), **script} if isinstance(first, str) else script


def _lengthened(script: Mapping[str, Any]) -> list[Any]:
    """Join the turns that are written, and let the user answer up to the `length`."""
    turns, length = _joined(script["turns"]), script.get("length")
    missing = length - len(turns) if isinstance(length, int) and length <= limits.TURNS else 0
    return turns + [{"user": None}] * missing


def _known(kind: object) -> object:
    """Refuse a kind once, before every turn has it."""
    if kind is not None and kind not in [*Kind]:
        raise ValueError(f"{kind!r} is not a kind of script{did_you_mean(str(kind), map(str, Kind))}")
    return kind


def _of_kind(turn: object, kind: object) -> object:
    return {"kind": kind, **turn} if kind is not None and isinstance(turn, dict) else turn


def _joined(turns: list[Any]) -> list[Any]:
    """Join what the assistant says to the user's turn before; where it has its own turns, they alternate."""
    alternate = any(_is_assistants(turn) for turn in turns)
    joined: list[Any] = []
    answered = True
    for count, turn in enumerate(turns, 1):
        if _is_assistants(turn):
            if answered:
                raise ValueError(f"turn {count} is the assistant's, with no turn of the user's before it")
            joined[-1] = joined[-1] | {name: text for name, text in turn.items() if text is not None}
            answered = True
            continue
        if alternate and not answered:
            raise ValueError(
                f"turns {count - 1} and {count} are both the user's; expected the assistant's between them, "
                "for it has turns of its own here (`assistant:` without a text lets the model answer)"
            )
        joined.append({"user": turn} if isinstance(turn, str) else turn)
        answered = isinstance(turn, dict) and "assistant" in turn
    return joined


def _is_assistants(turn: object) -> bool:
    return isinstance(turn, dict) and set(turn) == {"assistant"}


WrittenScript = Annotated[
    Script, BeforeValidator(_written_out, json_schema_input_type=Script | list[ScriptTurn | str])
]
"""A script as a suite writes it: a mapping with `turns` (and a `kind` for all), or its turns alone."""
