"""Regular expressions that somebody wrote: Python's own syntax, with a limit on what they may cost."""

import re
import warnings
from collections.abc import Iterable, Iterator
from time import monotonic

import regex

from coherence import limits
from coherence.errors import MeasurementError, shortened

# Seconds for a name when the time is over, which is enough for what matches at once.
_LEAST = 0.01
_TOKEN = re.compile(
    r"\\. | \[\^?\]? (?: \\. | [^\]\\] )* \] | \{ (?P<least>\d*) (?: , (?P<most>\d*) )? \} | .",
    re.DOTALL | re.VERBOSE,
)


class Pattern:
    """A regular expression, searched within a time; a MeasurementError where that takes longer.

    A ValueError says why the text is none: Python's `re` does not take it, or it is larger than one may be.
    """

    def __init__(self, text: str, ignore_case: bool = True) -> None:
        self._text = text
        if len(text) > limits.PATTERN:
            raise ValueError(f"it has {len(text):,} characters, expected at most {limits.PATTERN:,}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            try:
                re.compile(text)
            except (re.error, RecursionError, OverflowError) as problem:
                raise ValueError(str(problem)) from None
        if (repeats := _repeats(text)) > limits.REPEATS:
            raise ValueError(
                f"it repeats a part {repeats:,} times, expected at most {limits.REPEATS:,} with all repeats "
                "around it"
            )
        flags = regex.IGNORECASE if ignore_case else 0
        try:
            self._compiled = regex.compile(_in_dialect(text), flags | regex.VERSION0)
        except (regex.error, RecursionError) as problem:
            raise ValueError(str(problem)) from None

    def search(self, text: str) -> "regex.Match[str] | None":
        """Find the first match, as `re` does."""
        return next(self.finditer(text), None)

    def finditer(self, text: str) -> "Iterator[regex.Match[str]]":
        """Find every match, as `re` does."""
        try:
            yield from self._compiled.finditer(text, timeout=limits.PATTERN_SECONDS)
        except TimeoutError:
            raise self._too_long(text) from None

    def all_of(self, names: Iterable[str]) -> list[str]:
        """Return the names that match as a whole; all of them together have the time of one text."""
        matching, until = [], monotonic() + limits.PATTERN_SECONDS
        for name in names:
            try:
                if self._compiled.fullmatch(name, timeout=max(until - monotonic(), _LEAST)):
                    matching.append(name)
            except TimeoutError:
                raise self._too_long(name) from None
        return matching

    def _too_long(self, text: str) -> MeasurementError:
        return MeasurementError(
            f"the regular expression {shortened(self._text)} takes more than {limits.PATTERN_SECONDS:g} "
            f"seconds on {shortened(text)}; expected one without repeats of what matches in several ways"
        )


def _repeats(text: str) -> int:
    """Return how often a part is repeated at most by counts around it; one that repeats is no error here."""
    groups, last = [1], 1
    for token in _TOKEN.finditer(text):
        if token[0] == "(":
            groups.append(1)
        elif token[0] == ")" and len(groups) > 1:
            last = groups.pop()
        elif token["least"] or token["most"]:
            last *= max(int(token["least"] or 0), int(token["most"] or 0))
        else:
            last = 1
        groups[-1] = max(groups[-1], last)
    return max(groups)


def _in_dialect(text: str) -> str:
    """Escape what `re` takes literally, and `regex` for additions of its own: `{e}`, `[a[:alpha:]]`."""
    return "".join(_literal(token[0]) for token in _TOKEN.finditer(text))


def _literal(token: str) -> str:
    if token == "{":
        return r"\{"
    if token[0] != "[":
        return token
    return "[" + re.sub(r"(\\.)|\[", lambda escaped: escaped[1] or r"\[", token[1:], flags=re.DOTALL)
