"""Words as markers of a persona: those of its description, and those that its prompt makes a model say."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from coherence.vocabulary import Marker

MOST = 8
_LEAST_LETTERS = 4
# How many more replies under the prompt than bare ones a word must be in, as a share of the probes.
_LEAST_GAIN = 0.2
# What follows an apostrophe is no word: of "pirate's" it is `pirate`.
_WORD = re.compile(r"(?<!['\u2019])\b[^\W\d_]+")


def described(description: str) -> list[str]:
    """Return the first content words of a description: of 4 letters or more and not common, each once."""
    return list(dict.fromkeys(_content(description)))[:MOST]


def stem(word: str) -> Marker:
    """Make a word a marker that takes any ending."""
    return Marker(text=word, kind="stem")


def heard(description: str, prompted: Sequence[str], bare: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Find content words that as markers tell the prompted replies from the bare ones.

    First those that are in clearly more of the prompted replies, the largest difference first; then words of
    the description that are in more of them. With the numbers of replies of each that they are found in as
    stems.
    """
    prompted_words = {word for reply in prompted for word in _content(reply)}
    named = described(description)
    counts = {word: (_with(word, prompted), _with(word, bare)) for word in (*prompted_words, *named)}
    gains = {word: under - without for word, (under, without) in counts.items()}
    least = max(2, _LEAST_GAIN * len(prompted))
    brought = sorted(
        (word for word in prompted_words if gains[word] >= least), key=lambda word: (-gains[word], word)
    )
    chosen = dict.fromkeys((*brought, *(word for word in named if gains[word] > 0)))
    # What a shorter one finds as well would be counted twice in a reply.
    several = [word for word in chosen if not any(word != one and word.startswith(one) for one in chosen)]
    return {word: counts[word] for word in several[:MOST]}


def _with(word: str, replies: Iterable[str]) -> int:
    marker = stem(word)
    return sum(marker.found_in(reply) for reply in replies)


def _content(text: str) -> list[str]:
    words = (match[0].lower() for match in _WORD.finditer(text))
    return [word for word in words if len(word) >= _LEAST_LETTERS and word not in _common()]


@cache
def _common() -> frozenset[str]:
    return frozenset((files(__package__) / "common.txt").read_text(encoding="utf-8").split())
