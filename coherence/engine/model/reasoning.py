"""Reasoning before an answer: what a chat template is told of it, and where in a reply it ends."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from coherence.engine.batch.marks import Marks
from coherence.plan import Reasoning
from coherence.vocabulary import Part, Thinking

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def told(thinking: Thinking) -> dict[str, Any]:
    """Return what a template is told, under each of the names that templates have for it.

    Qwen3's ask for `enable_thinking`, those of DeepSeek and Granite for `thinking`, Command A's for
    `reasoning`, and that of gpt-oss for `reasoning_effort`.
    """
    if thinking == "auto":
        return {"enable_thinking": False}
    effort = {} if thinking in ("off", "on") else {"reasoning_effort": thinking}
    return dict.fromkeys(("enable_thinking", "thinking", "reasoning"), thinking != "off") | effort


def missing(part: Part, reasoning: Reasoning | None, whose: str) -> str | None:
    """Say why a reply does not have a part; None where it does, if only an empty one."""
    if part is Part.ANSWER and reasoning and not reasoning.closed:
        return (
            f"{whose} was still reasoning at {reasoning.tokens} tokens, and has no answer; "
            "raise max_new_tokens"
        )
    if part is Part.REASONING and reasoning is None:
        return f"{whose} has no reasoning; expected a model that reasons, and is let (`thinking`)"
    return None


class Split:
    """Where the reasoning of a reply ends, found while it is said, and after the tokens `before` it."""

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", marks: Marks | None, before: Sequence[int]
    ) -> None:
        self._tokenizer = tokenizer
        self._marks = marks
        # A mark has at most a token for each of its bytes, and a template may write white space after it.
        self._begun = marks is not None and self._text(before[-2 * len(marks.opens) :]).rstrip().endswith(
            marks.opens
        )
        self._passed = tokenizer.convert_tokens_to_ids(marks.passed) if marks and marks.passed else None
        # How many tokens come before the answer.
        self._reasoned: int | None = None

    def follow(self, ids: Sequence[int]) -> None:
        """Look at the token that was said last."""
        marks = self._marks
        if marks and self._reasoned is None and marks.closes in self._text(ids[-len(marks.closes) :]):
            self._reasoned = len(ids)

    def passes(self, token: int) -> bool:
        """Whether a token that may end a reply only ends a message of it, before the answer."""
        return token == self._passed and self._reasoned is None

    def answers(self, tokens: int) -> bool:
        """Whether the last of so many tokens is one of the answer, as far as is known."""
        return self._reasoned is not None and tokens > self._reasoned

    def reasoning(self, ids: Sequence[int]) -> Reasoning | None:
        """Return what comes before the answer; None where nothing does."""
        marks = self._marks
        if marks is None:
            return None
        if self._reasoned is not None:
            return Reasoning(self._plain(ids[: self._reasoned], marks), self._reasoned)
        if self._begun or self._text(ids).lstrip().startswith(marks.opens):
            return Reasoning(self._plain(ids, marks), len(ids), closed=False)
        return None

    def _plain(self, ids: Sequence[int], marks: Marks) -> str:
        return marks.written.sub("\n", self._text(ids)).strip()

    def _text(self, ids: Sequence[int]) -> str:
        text = self._tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str)
        return text
