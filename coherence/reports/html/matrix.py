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
        if len(result.regimes) == 2 and Regime.BARE not in result.regimes:
            first, second = map(str, result.regimes)
            families.setdefault(result.family, {}).setdefault((first, second), []).append(result)
    return [Matrix(family, cells) for family, cells in families.items()]
