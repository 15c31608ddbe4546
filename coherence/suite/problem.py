"""ProblemsError of one file, collected so that an author mends them in one go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from coherence import limits
from coherence.errors import Place, SuiteError, printable


@dataclass(frozen=True)
class Problem:
    """A sentence and the line that it is about."""

    place: Place
    sentence: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentence", printable(self.sentence))

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


class ProblemsError(SuiteError):
    """Several problems as one error: the first says the sentence and the place, the others a line each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first, *others = problems
        super().__init__("\n".join([first.sentence, *map(str, others)]), first.place)
        self.problems = tuple(problems)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems each once, the topmost of each file first; of very many, some."""
    distinct = dict.fromkeys(islice(problems, limits.PROBLEMS + 1))
    ordered = sorted(distinct, key=_where)
    if len(ordered) > limits.PROBLEMS:
        ordered[-1] = Problem(ordered[-1].place, f"there are more problems than these {limits.PROBLEMS}")
    return ordered


def _where(problem: Problem) -> tuple[str, int, int]:
    return problem.place.file, problem.place.line or 0, problem.place.column or 0


def refuse(problems: Iterable[Problem]) -> None:
    """Raise one SuiteError for all problems, if there are any, in the order of `in_order`."""
    if ordered := in_order(problems):
        raise ProblemsError(ordered)


def problems_in(error: SuiteError, path: Path) -> Sequence[Problem]:
    """Take an error of a suite at `path` apart again."""
    if isinstance(error, ProblemsError):
        return error.problems
    return [Problem(error.place or Place(path.as_posix()), error.sentence)]
