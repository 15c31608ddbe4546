"""What a server writes otherwise where it renders a conversation: the place, and what it is likely to be."""

import re
from difflib import SequenceMatcher

from coherence.plan import Answer

_AROUND = 24  # letters shown on either side
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2} \w{3,9},? \d{4}|\w{3,9} \d{1,2},? \d{4}")
_THINKING = ("<think", "</think", "/no_think", "/think", "reasoning", "thinking")


def divergence(ours: Answer | int, served: Answer | int, system: str | None) -> str | None:
    """Say how a prompt is written otherwise, and name what that is; `system` is the text of its system turn.

    The first token that differs is shown with the text around it on both sides. None where all are the same,
    or as many where only their number is told.
    """
    if isinstance(ours, int) or isinstance(served, int):
        return _miscounted(*(one if isinstance(one, int) else len(one.ids) for one in (ours, served)))
    if ours.ids == served.ids:
        return None
    place = _first_apart(ours.ids, served.ids)
    return f"{_cause(ours, served, system)}: from token {place + 1} on {_shown(ours.text, served.text)}"


def _miscounted(ours: int, served: int) -> str | None:
    if ours == served:
        return None
    return (
        f"the server counts {served} tokens in a prompt that has {ours} here; which they are, and where they "
        "begin to differ, is not exposed"
    )


def _first_apart(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    pairs = zip(first, second, strict=False)
    return next(
        (place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second))
    )


def _cause(ours: Answer, served: Answer, system: str | None) -> str:
    if ours.text == served.text:
        return "the server's tokenizer cuts the same text into other tokens"
    if served.ids[1:] == ours.ids and served.ids[:1] == ours.ids[:1]:
        return "the server writes the start token twice"
    if system and system in ours.text and system not in served.text:
        return "the server leaves out the system turn"
    left_out, put_in = _edits(ours.text, served.text)
    if any(word in text.lower() for word in _THINKING for text in (left_out, put_in)):
        return "the server tells the template otherwise of thinking"
    if _DATE.findall(ours.text) != _DATE.findall(served.text):
        return "the server writes another date"
    if put_in and not left_out.strip():
        return "the server puts in a text of its own"
    return "the server writes the prompt otherwise"


def _edits(ours: str, served: str) -> tuple[str, str]:
    """Return all that is left out, and all that is put in."""
    codes = SequenceMatcher(None, ours, served, autojunk=False).get_opcodes()
    changed = [code for code in codes if code[0] != "equal"]
    left_out = "".join(ours[start:end] for _, start, end, _, _ in changed)
    return left_out, "".join(served[start:end] for _, _, _, start, end in changed)


def _shown(ours: str, served: str) -> str:
    alike = zip(ours, served, strict=False)
    place = next((at for at, (one, other) in enumerate(alike) if one != other), min(len(ours), len(served)))
    begun, end = max(0, place - _AROUND), place + _AROUND
    return f"ours is {ours[begun:end]!r}, the server's {served[begun:end]!r}"
