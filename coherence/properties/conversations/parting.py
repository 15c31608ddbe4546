"""Parting: whether two regimes of a persona drift apart on the same scripts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from coherence.plan import Measurement, Record
from coherence.properties.columns import POSITION, TURNS, interval_columns, series
from coherence.properties.conversations.conversations import ConversationCase
from coherence.properties.conversations.drifting import Drifted, Drifting
from coherence.properties.conversations.shifts import by_turn
from coherence.properties.criterion import over_scripts
from coherence.properties.eligibility import Pair
from coherence.vocabulary import Criterion, Curve, Figures

Sides = tuple[Drifted, Drifted]


@dataclass(frozen=True)
class PartingCase(ConversationCase[Sides]):
    """One persona in two regimes, on the same axis and through the same scripts."""

    persona: str
    slug: str
    regimes: Pair
    most: float
    first: Drifting
    second: Drifting

    def needs(self) -> Iterable[Measurement]:
        """Place the answers of both."""
        return [*self.first.needs(), *self.second.needs()]

    def sample(self, record: Record, seed: int) -> Sides:
        """Place them on the axis."""
        first = Drifted.of(self.first, record, seed)
        return first, first.under(self.second.conversations.condition)

    def criteria(self, sample: Sides) -> Iterator[Criterion]:
        """Judge the difference of the slopes, paired by script."""
        first, second = sample
        steeper, n = second.course.steeper(first.course), len(first.scripts)
        name, why = f"slope {self._difference}", first.unreliable
        yield over_scripts(name, steeper, n, -self.most, self.most, why, key="max_difference")

    def figures(self, sample: Sides) -> Figures:
        """Show both courses and how far they are apart at each turn."""
        first, second = (side.course for side in sample)
        means = zip(self.regimes, (first.means, second.means), strict=True)
        lines = {str(regime): series(each) for regime, each in means}
        apart = interval_columns("difference", second.apart(first))
        return Figures(
            curve=Curve(over=TURNS, at=self.first.turns, series=lines, value=POSITION),
            tables=(by_turn(f"by turn: {self._difference}", apart),),
        )

    @property
    def _difference(self) -> str:
        first, second = self.regimes
        return f"{second} - {first}"
