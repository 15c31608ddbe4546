"""Tokens of a conversation by who says them."""

from enum import StrEnum


class Tokens(StrEnum):
    """Which tokens of a conversation something is done to, in all of its turns.

    `assistant` are those that the assistant says, `prompt` all others, and `reply` those whose next token the
    assistant chooses: its own, and the last one before each of its answers.
    """

    ALL = "all"
    PROMPT = "prompt"
    REPLY = "reply"
    ASSISTANT = "assistant"
