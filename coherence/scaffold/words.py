"""Words as markers of a persona: those of its description, and those that its prompt makes a model say."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

MOST = 8
_LEAST_LETTERS = 4
# How many more replies under the prompt than bare ones a word must be in, as a share of the probes.
_LEAST_GAIN = 0.2
# What follows an apostrophe is no word: of "pirate's" it is `pirate`.
_WORD = re.compile(r"(?<!['\u2019])\b[^\W\d_]+")


def described(description: str) -> list[str]:
    """Return the first content words of a description: of 4 letters or more and not common, each once."""
    return list(dict.fromkeys(_content(description)))[:MOST]


def heard(prompted: Sequence[str], bare: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Find content words of the prompted replies that are in clearly more of them than of the bare ones.

    With the numbers of replies of each that they are in, the largest difference first.
    """
    under, without = _counts(prompted), _counts(bare)
    gains = {word: count - without[word] for word, count in under.items()}
    least = max(2, _LEAST_GAIN * len(prompted))
    chosen = sorted((word for word in gains if gains[word] >= least), key=lambda word: (-gains[word], word))
    return {word: (under[word], without[word]) for word in chosen[:MOST]}


def _counts(replies: Iterable[str]) -> Counter[str]:
    return Counter(word for reply in replies for word in set(_content(reply)))


def _content(text: str) -> list[str]:
    words = (match[0].lower() for match in _WORD.finditer(text))
    return [word for word in words if len(word) >= _LEAST_LETTERS and word not in _common()]


@cache
def _common() -> frozenset[str]:
    return frozenset((files(__package__) / "common.txt").read_text(encoding="utf-8").split())
