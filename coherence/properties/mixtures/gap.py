"""Gap: the same weight of a mixture gives the same position between the poles, however it is mixed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import nan
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from coherence.errors import SuiteError
from coherence.plan import ClaimName, LawSearch, Measurement, Record, Scene
from coherence.properties.case import Case
from coherence.properties.columns import BETWEEN, WEIGHTS, series
from coherence.properties.criterion import held
from coherence.properties.mixtures.placed import Placed, intervals, placed
from coherence.properties.mixtures.poles import Mixed, Poles
from coherence.properties.ranges import SIZE
from coherence.properties.search_case import SearchCase
from coherence.statistics.intervals import Interval
from coherence.statistics.rising_dose import largest
from coherence.vocabulary import Criterion, Curve, Figures, Regime

CLAIM = "the claim: the same weight gives the same position in every regime that has weights"


@dataclass(frozen=True, eq=False)
class GapSample:
    """The mixtures of every way on one axis."""

    ways: Sequence[Placed]

    @cached_property
    def gaps(self) -> dict[str, Interval]:
        """By the two ways and the weight, in words."""
        return {
            _named(here.way, there.way, weight): here.response.gap(there.response, weight)
            for here, there in combinations(self.ways, 2)
            for weight in _common(here.way, there.way)
        }


@dataclass(frozen=True)
class GapCase(Case[GapSample]):
    """Two poles mixed in several ways."""

    persona: str
    slug: str
    spec: "Gap"
    ways: tuple[Mixed, ...]
    regimes: tuple[Regime, ...]

    def needs(self) -> Iterable[Measurement]:
        """Read every mixture on the axis."""
        return [reading for way in self.ways for reading in way.needs]

    def sample(self, record: Record, seed: int) -> GapSample:
        """Place all mixtures on the axis."""
        return GapSample(placed(self.ways, record))

    def criteria(self, sample: GapSample) -> Iterator[Criterion]:
        """Judge the largest gap between two ways, at whichever weight between 0 and 1."""
        widest, n, most = largest([*sample.gaps.values()]), sample.ways[0].n, self.spec.max_gap
        together = next(filter(None, (way.together for way in sample.ways)), None)
        yield held("largest gap", widest, n, at_most=most, unreliable=together, key="max_gap")

    def figures(self, sample: GapSample) -> Figures:
        """Show all gaps, and the responses of all ways in one picture."""
        widest = max(sample.gaps, key=lambda name: abs(sample.gaps[name].value))
        return Figures(
            curve=_curve(sample.ways),
            tables=(intervals("gaps between ways, and their intervals", "gap", sample.gaps),),
            notes=(f"the largest gap is {widest}: {sample.gaps[widest].value:+.2f}",),
        )


def _common(one: Mixed, other: Mixed) -> list[float]:
    """Weights of mixtures that both have; at 0 and 1 all ways are at their poles."""
    return [weight for weight in one.mixtures if weight in other.mixtures and 0 < weight < 1]


def _named(one: Mixed, other: Mixed, weight: float) -> str:
    return f"{one.slug} - {other.slug} at weight {weight:g}"


def _curve(ways: Iterable[Placed]) -> Curve:
    weights = sorted({weight for way in ways for weight in way.positions})
    lines = {
        way.way.slug: series(way.positions[w].value if w in way.positions else nan for w in weights)
        for way in ways
    }
    return Curve(
        over=WEIGHTS,
        at=tuple(f"{weight:g}" for weight in weights),
        series=lines,
        value=BETWEEN,
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
        regimes = tuple(way.regime for way in ways if way.regime)
        cases: list[Case] = [GapCase(persona, "every-way", self, ways, regimes)]
        if self.search:
            search = self._search(ways, scene, self.search)
            cases.append(SearchCase(persona, "search", search, "max_gap", CLAIM, "gap at the worst weight"))
        return cases

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
