"""What every property asks that holds two directions against each other: which way, how far, and where."""

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from typing import Annotated, Generic, Protocol, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator

from coherence.plan import Condition, Record
from coherence.properties.criterion import held, too_noisy
from coherence.properties.parts import require_in_reply
from coherence.properties.property import Property
from coherence.properties.ranges import ANY
from coherence.properties.reading import Contrast, unmoved
from coherence.statistics.alignment import Alignment
from coherence.statistics.displacements import Displacements
from coherence.statistics.intervals import Array, Interval
from coherence.vocabulary import Band, Criterion, Part, Position
from coherence.vocabulary.evidence import number, ranged


@dataclass(frozen=True, eq=False)
class Directions:
    """Two directions at the sites of a band, by what a reader calls them; the measure is the first."""

    moved: Displacements  # at those sites alone
    sides: Mapping[str, Condition]
    band: Band
    seed: int

    @classmethod
    def of(
        cls, contrast: Contrast, record: Record, sides: Mapping[str, Condition], band: Band, seed: int
    ) -> "Directions":
        """Take what is read at the sites of a band, and nothing else."""
        return cls(contrast.displacements(record, sides.values(), band.sites), sides, band, seed)

    @property
    def pair(self) -> tuple[Condition, Condition]:
        """Both conditions."""
        first, second = self.sides.values()
        return first, second

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.moved.clusters)

    @cached_property
    def alignment(self) -> Alignment:
        """Their specific parts, compared."""
        return self.moved.compared(*self.pair)

    @cached_property
    def cosines(self) -> list[Interval]:
        """Specific cosine at each site."""
        return self.alignment.cosines()

    @cached_property
    def by_probe(self) -> Array:
        """Specific cosine of each probe alone: [probes]."""
        return self.moved.by_probe(*self.pair)

    @cached_property
    def ceiling(self) -> float:
        """Highest cosine that both can show, averaged over the band."""
        return float(self.moved.ceiling(*self.pair, self.seed).mean())

    @cached_property
    def chance(self) -> float:
        """What random directions reach against the first, averaged over the band."""
        return float(self.moved.chance(self.pair[0], self.seed).mean())

    @cached_property
    def undefined(self) -> str | None:
        """Name the first side that moves nothing at a site of the band."""
        return self.still(*self.sides)

    def still(self, *names: str) -> str | None:
        """Name the first of these sides that moves nothing at a site of the band."""
        nothing = np.stack([self.moved.still(self.sides[name]) for name in names])
        return unmoved(nothing, names, self.band)

    def geometry(self) -> Iterator[str]:
        """Say what the cosine is beside, and where it is least: the band's mean may hide a bad site."""
        if self.undefined:
            return
        yield (
            f"{self.band}: raw cosine {number(self.moved.raw_cosine(*self.pair).mean())}, "
            f"ceiling {number(self.ceiling)}, random null {number(self.chance)}"
        )
        known = [
            (cosine, site)
            for cosine, site in zip(self.cosines, self.band.sites, strict=True)
            if not isnan(cosine.value)
        ]
        if known:
            least, site = min(known, key=lambda one: one[0].value)
            spread = ranged(least.value, least.low, least.high)
            yield f"least of the band at {site}: specific cosine {spread}"


class Compared(Protocol):
    """A case that holds two directions against each other."""

    @property
    def spec(self) -> "Directed":
        """What its author writes."""

    @property
    def contrast(self) -> Contrast:
        """Where residuals are read, and who is beside."""

    @property
    def sides(self) -> Mapping[str, Condition]:
        """Both conditions, by what a reader calls them; the measure is the first."""


CaseT = TypeVar("CaseT", bound=Compared)


@dataclass(frozen=True, eq=False)
class DirectedSample(Generic[CaseT]):
    """Two directions, where they are judged and everywhere."""

    case: CaseT
    record: Record
    seed: int

    @cached_property
    def band(self) -> Directions:
        """Both at the sites that are judged."""
        case = self.case
        return Directions.of(case.contrast, self.record, case.sides, case.spec.sites, self.seed)

    @cached_property
    def everywhere(self) -> Displacements:
        """Displacements at every site."""
        return self.case.contrast.displacements(self.record, self.case.sides.values())


class Directed(Property, ABC):
    """A property that compares specific directions over a band of sites."""

    sites: Band = Field(description="Where directions are compared; cosines are averaged over the band.")
    every_site: bool = Field(
        False,
        description="Whether the cosine must hold at each site of the band, and not for their mean alone.",
    )
    position: Position = Field(Position.PROMPT_LAST, description="At which token directions are read.")
    part: Part = Field(
        Part.ANSWER,
        description="Which part of a reply a position is in: the answer, the reasoning before it, or both.",
    )
    min_strength: Annotated[float, ANY] = Field(
        0.1,
        gt=0,
        description="Least strength: how far the second goes along the first, as a share of how far that "
        "goes. A cosine knows no size: what does next to nothing has one too.",
    )
    max_strength: Annotated[float | None, ANY] = Field(None, gt=0, description="Largest strength.")
    min_ceiling: float = Field(
        0.6, ge=0, le=1, description="Reliability of the directions below which nothing is decided."
    )

    @model_validator(mode="after")
    def _part_of_a_reply(self) -> Self:
        require_in_reply(self.part, self.position)
        return self

    def directions(self, directions: Directions, key: str, least: float) -> Iterator[Criterion]:
        """Hold the cosine of both sides, and the strength of the second along the first."""
        name, cosine = (
            ("specific cosine at the least site", directions.alignment.least_cosine())
            if self.every_site
            else ("specific cosine", directions.alignment.cosine())
        )
        yield held(name, cosine, directions.n, least, unreliable=self.unreliable(directions), key=key)
        first, second = directions.sides
        # A second side that does nothing has a strength, which is 0.
        still = directions.still(first)
        name, strength = f"strength of {second} along {first}", directions.alignment.strength()
        yield held(name, strength, directions.n, self.min_strength, unreliable=still, key="min_strength")
        if (most := self.max_strength) is not None:
            yield held(name, strength, directions.n, at_most=most, unreliable=still, key="max_strength")

    def unreliable(self, directions: Directions) -> str | None:
        """Say why directions decide nothing, if they do not."""
        return directions.undefined or too_noisy(directions.ceiling, self.min_ceiling, directions.n)
