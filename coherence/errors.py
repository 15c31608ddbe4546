"""Errors written as sentences: which file and line, what was found, what was expected."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches


@dataclass(frozen=True)
class Place:
    """A line of a file that somebody wrote; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


class CoherenceError(Exception):
    """A sentence for the person who can mend it, with the place that caused it where one is known."""

    def __init__(self, sentence: str, place: Place | None = None) -> None:
        super().__init__(f"{place}: {sentence}" if place else sentence)
        self.sentence = sentence
        self.place = place


class SuiteError(CoherenceError):
    """A suite, or a file that it includes, cannot be understood."""


class ArtefactError(CoherenceError):
    """A base model, adapter, vector or probe file cannot be used."""


class MeasurementError(CoherenceError):
    """The model ran, but what came out cannot be trusted (a NaN, a hook that did not fire)."""


class UnmeasuredError(CoherenceError):
    """What was not measured, because the budget of the run was spent before."""


class StoreError(CoherenceError):
    """The store cannot be read or written."""


class EngineError(CoherenceError):
    """What measures cannot be had: no cluster answers, or it has no room."""


class ExtensionError(CoherenceError):
    """What another distribution adds cannot be used; the sentence names the distribution."""


def listed(names: Sequence[str], shown: int = 24) -> str:
    """List names; of very many, the first and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return a suffix such as `; did you mean 'pirate'?`, or list the options when none is close."""
    known = sorted(options)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {listed(known)}" if known else ""


def first_line(problem: BaseException) -> str:
    """Return what an exception of somebody else's library says first, or its name when it says nothing."""
    return next(iter(str(problem).strip().splitlines()), type(problem).__name__)
