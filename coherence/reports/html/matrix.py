"""Regime against regime: what a persona's assertions of one family say of every pair."""

from collections.abc import Iterable
from dataclasses import dataclass

from coherence.results import AssertionResult
from coherence.vocabulary import Regime

Pair = tuple[str, str]


@dataclass(frozen=True)
class Matrix:
    """First regimes against second ones; most cells hold one assertion or none."""

    family: str
    cells: dict[Pair, list[AssertionResult]]

    @property
    def rows(self) -> list[str]:
        """The first regime of each pair, in order of appearance."""
        return list(dict.fromkeys(first for first, _ in self.cells))

    @property
    def columns(self) -> list[str]:
        """The second regime of each pair, in order of appearance."""
        return list(dict.fromkeys(second for _, second in self.cells))


def matrices(assertions: Iterable[AssertionResult]) -> list[Matrix]:
    """One per family that compares regimes, in order of appearance."""
    families: dict[str, dict[Pair, list[AssertionResult]]] = {}
    for result in assertions:
        if pair := _pair(result.id):
            families.setdefault(result.family, {}).setdefault(pair, []).append(result)
    return [Matrix(family, cells) for family, cells in families.items()]


def _pair(assertion: str) -> Pair | None:
    """Read the pair from the end of an id, such as `prompt-adapter`."""
    first, dash, second = assertion.rpartition(".")[2].partition("-")
    try:
        return (str(Regime.parse(first)), str(Regime.parse(second))) if dash else None
    except ValueError:
        return None
