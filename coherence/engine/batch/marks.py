"""Marks by which a model sets its reasoning apart from its answer."""

import re
from typing import NamedTuple

from coherence.vocabulary import Thinking


class Marks(NamedTuple):
    """How a model sets its reasoning apart: what begins it, and what the answer follows.

    `passed` is a token that ends a message of the reply, and not the reply while it reasons.
    """

    opens: str
    closes: str
    passed: str | None = None
    markup: str | None = None

    @property
    def written(self) -> re.Pattern[str]:
        """All that marks and says nothing."""
        return re.compile(f"(?:{self.markup or f'{re.escape(self.opens)}|{re.escape(self.closes)}'})+")


# Qwen3, DeepSeek, GLM and most others; Seed-OSS; Magistral; Command A Reasoning; Gemma 4.
_TAGS = (
    Marks("<think>", "</think>"),
    Marks("<seed:think>", "</seed:think>"),
    Marks("[THINK]", "[/THINK]"),
    Marks("<|START_THINKING|>", "<|END_THINKING|>"),
    Marks("<|channel>thought", "<channel|>"),
)
# Harmony, of gpt-oss: messages on channels, the last of which is the answer.
_CHANNELS = Marks(
    "<|channel|>",
    "<|channel|>final<|message|>",
    "<|end|>",
    r"<\|start\|>assistant|<\|channel\|>[^<]*<\|message\|>|<\|end\|>",
)


def marks_of(template: str, thinking: Thinking) -> Marks | None:
    """Return the marks that a chat template knows; None where it knows none, or is told not to reason.

    Without a word of the suite, a template that takes `enable_thinking` is told so: a reply is the answer.
    """
    if thinking == "auto" and "enable_thinking" in template:
        return None
    return next((marks for marks in (_CHANNELS, *_TAGS) if marks.closes in template), None)
