"""Gap: the same weight of a mixture gives the same position between the poles, however it is mixed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coherence.errors import SuiteError
from coherence.plan import ClaimName, LawSearch, Measurement, Record, Scene
from coherence.properties.columns import column
from coherence.properties.criterion import held
from coherence.properties.mixtures.poles import Mixed, Poles
from coherence.properties.property import Case
from coherence.properties.ranges import SIZE
from coherence.properties.search import SearchCase
from coherence.statistics.dose import largest
from coherence.statistics.intervals import Interval
from coherence.statistics.response import Response
from coherence.vocabulary import Criterion, Curve, Evidence, Regime, Table

CLAIM = "the claim: the same weight gives the same position in every regime that has weights"
Gaps = Mapping[str, Interval]
"""By the two ways and the weight, in words."""


@dataclass(frozen=True)
class GapCase(Case):
    """Two poles mixed in several ways."""

    persona: str
    slug: str
    most: float
    ways: tuple[Mixed, ...]

    def needs(self) -> Iterable[Measurement]:
        """Read every mixture on the axis."""
        return [reading for way in self.ways for reading in way.needs]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge the largest gap; show all of them, and the responses of all ways in one picture."""
        responses = self._responses(record)
        gaps = self._gaps(responses)
        widest = max(gaps, key=lambda name: abs(gaps[name].value))
        return Evidence(
            criteria=(self._largest(responses, gaps),),
            curve=self._curve(responses),
            tables=(_table(gaps),),
            notes=(f"the largest gap is {widest}: {gaps[widest].value:+.2f}",),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the largest gap between two ways, at whichever weight between 0 and 1."""
        responses = self._responses(record)
        yield self._largest(responses, self._gaps(responses))

    def _responses(self, record: Record) -> list[Response]:
        return [way.response(record) for way in self.ways]

    def _gaps(self, responses: Sequence[Response]) -> Gaps:
        sides = combinations(zip(self.ways, responses, strict=True), 2)
        return {
            f"{one.slug} - {other.slug} at weight {weight:g}": here.gap(there, weight)
            for (one, here), (other, there) in sides
            for weight in _common(one, other)
        }

    def _largest(self, responses: Sequence[Response], gaps: Gaps) -> Criterion:
        reasons = (way.together(response) for way, response in zip(self.ways, responses, strict=True))
        return held(
            "largest gap",
            largest([*gaps.values()]),
            self.ways[0].n,
            at_most=self.most,
            unreliable=next(filter(None, reasons), None),
            key="max_gap",
        )

    def _curve(self, responses: Sequence[Response]) -> Curve:
        weights = sorted({weight for way in self.ways for weight in way.mixtures})
        columns = {}
        for way, response in zip(self.ways, responses, strict=True):
            at = dict(zip(way.mixtures, response.position(), strict=True))
            columns[way.slug] = column(at[weight].value if weight in at else nan for weight in weights)
        return Curve(axis="weight", at=tuple(f"{weight:g}" for weight in weights), columns=columns)


def _common(one: Mixed, other: Mixed) -> list[float]:
    """Weights of mixtures that both have; at 0 and 1 all ways are at their poles."""
    return [weight for weight in one.mixtures if weight in other.mixtures and 0 < weight < 1]


def _table(gaps: Gaps) -> Table:
    return Table(
        name="gaps between ways, and their intervals",
        rows=tuple(gaps),
        columns=("gap", "low", "high"),
        cells=tuple(column((gap.value, gap.low, gap.high)) for gap in gaps.values()),
    )


class Gap(Poles):
    """The same weight of a mixture gives the same position between the poles, in whatever way it is mixed.

    In every way the poles are 0 and 1: how far they lie apart is a question for `attractor`.
    """

    family: ClassVar[str] = "attractor"

    property: Literal["gap"] = Field(description="Names this property.")
    max_gap: Annotated[float, SIZE] = Field(
        ge=0, description="Largest distance, of either sign, of two positions at the same weight."
    )

    search: int | None = Field(
        None,
        ge=1,
        description="How many weights to draw between those that are listed, in search of one at which two "
        "of the regimes with weights are further apart; one more assertion.",
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case, and one of the search; there must be two ways with a mixture of the same weight."""
        ways = tuple(self.ways(scene))
        if not any(_common(*pair) for pair in combinations(ways, 2)):
            there = ", ".join(f"{way.slug} at {' '.join(map('{:g}'.format, way.mixtures))}" for way in ways)
            raise SuiteError(
                f"gap compares ways of mixing at a weight that two of them have; found {there or 'none'}"
            )
        persona = "-".join(self.poles)
        found: list[Case] = [GapCase(persona, "every-way", self.max_gap, ways)]
        if self.search:
            search = self._search(ways, scene, self.search)
            found.append(SearchCase(persona, "search", search, "max_gap", CLAIM, "gap at the worst weight"))
        return found

    def _search(self, ways: Sequence[Mixed], scene: Scene, examples: int) -> LawSearch:
        weighted = [way for way in ways if way.regime and not Regime.PROMPT.layers <= way.regime.layers]
        if len(weighted) < 2:
            raise SuiteError(
                "search compares two regimes that can be mixed at any weight, without prompts; "
                f"found {', '.join(way.slug for way in weighted) or 'none'}"
            )
        if self.position.spoken:
            raise SuiteError(
                f"search reads positions in the prompt, such as prompt_last; found {self.position}"
            )
        ends = [way.mixtures[weight] for way in weighted for weight in (1.0, 0.0)]
        conditions = (*ways[0].prompted, *(condition for (condition,) in ends))
        read = (self.site, self.position)
        claim = ClaimName.SAME_POSITION
        return LawSearch(claim, conditions, scene.probes, self.max_gap, examples, scene.seed, read)
