"""Problems of one file, collected so that an author mends them in one go."""

from collections.abc import Iterable
from dataclasses import dataclass

from coherence.errors import Place, SuiteError


@dataclass(frozen=True)
class Problem:
    """A sentence and the line that it is about."""

    place: Place
    sentence: str

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence}"


def refuse(problems: Iterable[Problem]) -> None:
    """Raise one SuiteError for all problems, if there are any: the topmost first, then one a line."""
    ordered = sorted(
        dict.fromkeys(problems), key=lambda problem: (problem.place.file, problem.place.line or 0)
    )
    if ordered:
        first, *others = ordered
        raise SuiteError("\n".join([first.sentence, *map(str, others)]), first.place)
