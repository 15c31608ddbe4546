"""Errors written as sentences: which file and line, what was found, what was expected."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import accumulate
from operator import eq
from traceback import walk_tb


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
        sentence = printable(sentence)
        super().__init__(f"{printable(str(place))}: {sentence}" if place else sentence)
        self.sentence = sentence
        self.place = place


class SuiteError(CoherenceError):
    """A suite, or a file that it includes, cannot be understood."""


class UnknownNameError(SuiteError):
    """A suite asks for something by a name that nothing in it bears."""


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


class ServerError(CoherenceError):
    """A server of the release cannot be reached, or does not answer as it should."""


class NotExposedError(ServerError):
    """What a server does not tell: nothing follows from that, and it is never taken for equality."""


class ExtensionError(CoherenceError):
    """What another distribution adds cannot be used; the sentence names the distribution."""


def printable(text: str) -> str:
    """Escape what a terminal would obey or not show, and leave out the rest of lines that nobody reads."""
    lines = (_cut(line, _LONGEST_LINE) for line in text.split("\n"))
    return "\n".join("".join(map(_shown, line)) for line in lines)


_LONGEST_LINE = 1_500


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else ascii(letter)[1:-1]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def listed(names: Sequence[str], shown: int = 24) -> str:
    """List names; of very many, the first and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


class UnforeseenError(CoherenceError):
    """What a library raised, or coherence itself, and nobody foresaw; the sentence says who and where."""


def in_a_sentence(problem: Exception) -> CoherenceError:
    """Return any exception as an error that is a sentence, with the exception as its cause."""
    if isinstance(problem, CoherenceError):
        return problem
    unforeseen = UnforeseenError(said_by(problem))
    unforeseen.__cause__ = problem
    return unforeseen


def reason(problem: Exception, *meant: type[Exception]) -> str:
    """Return what an exception says where it was raised for people to read, and else what `said_by` does."""
    for_people = isinstance(problem, (OSError, ImportError, ValueError, RuntimeError, *meant))
    return first_line(problem) if for_people else said_by(problem)


def told(problem: Exception) -> str:
    """Return what a command says of an exception: its own sentence, or what `said_by` does."""
    if isinstance(problem, CoherenceError):
        return str(problem)
    return printable(first_line(problem) if isinstance(problem, OSError | ImportError) else said_by(problem))


def said_by(problem: Exception) -> str:
    """Say which library raised an exception, where, and what it says; a mistake of coherence is called so."""
    if isinstance(problem, MemoryError):
        return "out of memory"
    if isinstance(problem, OSError) and problem.filename:
        return f"{problem.filename}: {problem.strerror}"
    module, line = _raised_at(problem)
    who = module.partition(".")[0]
    message = f": {first_line(problem)}" if str(problem).strip() else ""
    raised = f"{who} raised {type(problem).__name__}{message} ({module}, line {line})"
    if who != __package__:
        return raised
    return f"{raised}; this is a mistake of {who} itself: please report it, with what --log-level=debug shows"


def _raised_at(problem: Exception) -> tuple[str, int]:
    """Return the module and line that raised it, those of Python's own library passed over."""
    raised = (type(problem).__module__, 0)
    for frame, line in walk_tb(problem.__traceback__):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in sys.stdlib_module_names:
            raised = module, line
    return raised


def shortened(found: object, most: int = 60) -> str:
    """Quote what was found, and of what is very long only the beginning."""
    return _cut(repr(found), most)


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return a suffix such as `; did you mean 'pirate'?`, or list the options when none is close."""
    known = sorted(options)
    close = get_close_matches(word, _likeliest(word, known), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {listed(known)}" if known else ""


# Letters of a word times those of what it is held against: about ten milliseconds.
_COMPARED = 100_000


def _likeliest(word: str, known: Sequence[str]) -> list[str]:
    """Return of very many names, or very long ones, those that agree with a word at most places."""
    most = _COMPARED // (len(word) or 1)
    if sum(map(len, known)) <= most:
        return list(known)
    ranked = sorted(known, key=lambda name: -sum(map(eq, word, name)))
    return [
        name for name, letters in zip(ranked, accumulate(map(len, ranked)), strict=True) if letters <= most
    ]


def first_line(problem: BaseException) -> str:
    """Return what an exception of somebody else's library says first, or its name when it says nothing.

    A line that ends with a colon says nothing without the next one.
    """
    first, *others = str(problem).strip().splitlines() or [type(problem).__name__]
    return f"{first} {others[0].strip()}" if others and first.endswith(":") else first
