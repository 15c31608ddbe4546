"""Where replies that stand side by side say something else: by words, whatever is between them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import SequenceMatcher

from coherence.reports.html.text import LIMIT

Place = tuple[int, int]
"""Where a piece of a text starts, and before which character it ends."""

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_ALIKE = 0.25  # share of words in common below which everything differs, and marks would tell nothing


def differences(replies: Mapping[str, str]) -> dict[str, list[Place]]:
    """Find in each reply the words that the first does not say there, and in the first those of the second.

    Replies that have hardly a word in common are left unmarked. Only what a page shows of a text is read.
    """
    first, *others = replies.items() if replies else [("", "")]
    apart = {name: _apart(first[1], text) for name, text in others}
    of_first = next((own for own, _ in apart.values()), [])
    marked = {first[0]: of_first, **{name: theirs for name, (_, theirs) in apart.items()}}
    return {name: marked[name] for name in replies}


def _apart(one: str, other: str) -> tuple[list[Place], list[Place]]:
    """Find the words of each that the other does not say at the same place, in one comparison."""
    first, second = texts = [[*_WORD.finditer(text[:LIMIT])] for text in (one, other)]
    matcher = SequenceMatcher(None, _lowered(first), _lowered(second), autojunk=False)
    if matcher.ratio() < _ALIKE:
        return [], []
    codes = [code[1:] for code in matcher.get_opcodes() if code[0] != "equal"]
    own, theirs = (
        [_place(words[code[side] : code[side + 1]]) for code in codes if code[side] < code[side + 1]]
        for words, side in zip(texts, (0, 2), strict=True)
    )
    return own, theirs


def _place(words: Sequence[re.Match[str]]) -> Place:
    return words[0].start(), words[-1].end()


def _lowered(words: Iterable[re.Match[str]]) -> list[str]:
    return [word[0].casefold() for word in words]
