"""Whether a model reasons before it answers, and which part of its reply is looked at."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator

Thinking = Literal["auto", "off", "on", "low", "medium", "high"]


def _spelled(written: object) -> object:
    # YAML 1.1 reads `on` and `off` as truth values.
    return {True: "on", False: "off"}[written] if isinstance(written, bool) else written


WrittenThinking = Annotated[Thinking, BeforeValidator(_spelled, json_schema_input_type=Thinking | bool)]
"""What a suite says of reasoning: `on`, `off`, how much of it, or `auto`."""


class Part(StrEnum):
    """A part of a reply: the answer is what follows the reasoning, or all of it where there is none."""

    ANSWER = "answer"
    REASONING = "reasoning"
    BOTH = "both"
