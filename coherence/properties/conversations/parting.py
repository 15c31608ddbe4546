"""Parting: whether two regimes of a persona drift apart on the same scripts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from coherence.plan import Measurement, Record
from coherence.properties.columns import column
from coherence.properties.conversations.conversations import ConversationCase
from coherence.properties.conversations.drifting import Drifting
from coherence.properties.criterion import over_scripts
from coherence.vocabulary import Criterion, Curve, Evidence, Table


@dataclass(frozen=True)
class PartingCase(ConversationCase):
    """One persona in two regimes, on the same axis and through the same scripts."""

    persona: str
    slug: str
    most: float
    first: Drifting
    second: Drifting

    def needs(self) -> Iterable[Measurement]:
        """Place the answers of both."""
        return [*self.first.needs(), *self.second.needs()]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge the difference of the slopes; show both courses and how far they are apart at each turn."""
        first, second = (side.course(record) for side in (self.first, self.second))
        apart = second.apart(first)
        return Evidence(
            criteria=tuple(self.criteria(record, seed)),
            curve=Curve(
                axis="turn",
                at=self.first.turns,
                columns={
                    name: column(side.means) for name, side in zip(self._names, (first, second), strict=True)
                },
            ),
            tables=(
                Table(
                    name=f"by turn: {self._difference}",
                    rows=tuple(f"turn {turn}" for turn in self.first.turns),
                    columns=("difference", "low", "high"),
                    cells=tuple(column((found.value, found.low, found.high)) for found in apart),
                ),
            ),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the difference of the slopes, paired by script."""
        first, second = (side.course(record) for side in (self.first, self.second))
        yield over_scripts(
            f"slope {self._difference}",
            second.steeper(first),
            len(self.first.scripts),
            -self.most,
            self.most,
            unreliable=self.first.axis.unreliable(record, seed),
            key="max_difference",
        )

    @property
    def _names(self) -> list[str]:
        return [str(side.regime) for side in (self.first, self.second)]

    @property
    def _difference(self) -> str:
        first, second = self._names
        return f"{second} - {first}"
