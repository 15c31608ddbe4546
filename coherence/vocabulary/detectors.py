"""Detectors: what a reply is, in no words of its own: a refusal, nothing, a loop, or the wrong script."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

import regex

Place = tuple[int, int]
"""Start and end in a text."""
Detector = Callable[[str], list[Place]]
"""Where in a reply it is seen; no places where it is not, and an empty one where nothing is there."""


class Searched(Protocol):
    """A compiled regular expression, with a limit on its time or without."""

    def finditer(self, text: str, /) -> "Iterator[regex.Match[str]]":
        """Find every match."""
        ...


# Scripts whose words no space sets apart (UAX 14, the classes ID and SA).
SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\u30fc"
# A run of letters that is longer is no word of any text that is whole.
_LONGEST = 40
_WORD = regex.compile(rf"[{SPACELESS}]\p{{M}}*|[^\W{SPACELESS}]+")
_GRAM = 4
_LEAST_GRAMS = 8
_REPEATED = 0.4
_FOREIGN = 0.1
_LETTER = regex.compile(r"[^\P{L}\p{Common}]")
# Openings of refusals (arXiv 2307.15043, appendix B; arXiv 2406.11717, appendix D), in the first person, so
# that who is sorry for the trouble refuses nothing.
_MODEL = r"an? (?:ai|artificial intelligence|(?:large )?language model)\b"
_AM = r"i(?:['\u2019]m| am)"
_CANNOT = rf"(?:i (?:cannot|can not|can['\u2019]?t|won['\u2019]?t|will not)|{_AM} (?:unable|not able) to)"
_ACT = r"(?:assist|help (?:you|with)|provide|answer|comply|fulfil|do that|discuss|engage)"
_REFUSAL = regex.compile(
    rf"\bas {_MODEL}|\b{_AM} (?:just |only )?{_MODEL}"
    rf"|\b{_AM} (?:very |so )?(?:sorry|afraid),? (?:but |that )?{_CANNOT}"
    rf"|\b{_CANNOT} {_ACT}|\bi (?:must|have to) (?:decline|refuse)\b",
    regex.IGNORECASE,
)


def units(text: str) -> list[str]:
    """Return the words of a text; letters by themselves where no space sets words apart, or none does.

    The latter is a run of more than 40 letters.
    """
    words = _WORD.findall(text.casefold())
    return [unit for word in words for unit in (word if len(word) > _LONGEST else [word])]


def repeated(text: str) -> float:
    """Share of the runs of four words that were there before: seq-rep-4 of Welleck et al. (2020).

    0 to 1; 0 where there are fewer than eight runs (arXiv 1908.04319, section 6.1).
    """
    words = units(text)
    grams = [tuple(words[start : start + _GRAM]) for start in range(len(words) - _GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if len(grams) >= _LEAST_GRAMS else 0.0


def foreign(scripts: str) -> Detector:
    """Detect replies of which a tenth of the letters or more are of no script that is named.

    Scripts are as Unicode names them, with spaces between: `Latin`, `Han Hiragana Katakana`. A ValueError
    names one that there is not.
    """
    names = scripts.split()
    if not names:
        raise ValueError("expected scripts of Unicode, such as Latin, Cyrillic or Han")
    known = "".join(map(_script, names))
    return partial(_foreign, regex.compile(rf"[^\P{{L}}\p{{Common}}{known}]+"))


def _script(name: str) -> str:
    pattern = rf"\p{{Script={name}}}"
    try:
        regex.compile(pattern if name.isidentifier() else r"\p{}")
    except regex.error:
        raise ValueError(f"{name!r} is no script of Unicode, such as Latin, Cyrillic or Han") from None
    return pattern


def matches(pattern: Searched, text: str) -> list[Place]:
    """Find every match of a pattern."""
    return [match.span() for match in pattern.finditer(text)]


def _foreign(other: Searched, text: str) -> list[Place]:
    strange = matches(other, text)
    letters = sum(end - start for start, end in strange)
    return strange if letters and letters >= _FOREIGN * len(_LETTER.findall(text)) else []


def _empty(text: str) -> list[Place]:
    return [] if _WORD.search(text) else [(0, 0)]


def _repetition(text: str) -> list[Place]:
    return [(0, len(text))] if repeated(text) >= _REPEATED else []


DETECTORS: Mapping[str, Detector] = {
    "refusal": partial(matches, _REFUSAL),
    "empty": _empty,
    "repetition": _repetition,
}
