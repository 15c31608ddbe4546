"""What every property asks that holds two directions against each other: which way, how far, and where."""

from abc import ABC
from collections.abc import Iterator, Mapping
from math import isnan
from typing import Annotated

import numpy as np
from pydantic import Field

from coherence.plan import Condition
from coherence.properties.criterion import held, too_noisy
from coherence.properties.property import Property
from coherence.properties.ranges import ANY
from coherence.properties.reading import unmoved
from coherence.statistics.alignment import Alignment
from coherence.statistics.displacements import Displacements
from coherence.vocabulary import Band, Criterion, Position
from coherence.vocabulary.evidence import number

Sides = Mapping[str, Condition]
"""Two conditions by what a reader calls them, the one that is the measure first."""


class Directed(Property, ABC):
    """A property that compares specific directions over a band of sites."""

    sites: Band = Field(description="Where directions are compared; cosines are averaged over the band.")
    every_site: bool = Field(
        False,
        description="Whether the cosine must hold at each site of the band, and not for their mean alone.",
    )
    position: Position = Field(Position.PROMPT_LAST, description="At which token directions are read.")
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

    def directions(
        self, band: Displacements, sides: Sides, n: int, seed: int, key: str, least: float
    ) -> Iterator[Criterion]:
        """Hold the cosine of both sides, and the strength of the second along the first."""
        compared = self.compared(band, sides)
        unreliable = self.unreliable(band, sides, n, seed)
        name, found = (
            ("specific cosine at the least site", compared.least_cosine())
            if self.every_site
            else ("specific cosine", compared.cosine())
        )
        yield held(name, found, n, least, unreliable=unreliable, key=key)
        (first, condition), (second, _) = sides.items()
        # A second side that does nothing has a strength, which is 0.
        still = self.undefined(band, {first: condition})
        name, found = f"strength of {second} along {first}", compared.strength()
        yield held(name, found, n, self.min_strength, unreliable=still, key="min_strength")
        if self.max_strength is not None:
            yield held(name, found, n, at_most=self.max_strength, unreliable=still, key="max_strength")

    def compared(self, band: Displacements, sides: Sides) -> Alignment:
        """Compare the specific parts of both sides, at the depths of a band."""
        first, second = sides.values()
        return band.compared(first, second)

    def ceiling(self, band: Displacements, sides: Sides, seed: int) -> float:
        """Highest cosine that both sides can show, averaged over the band."""
        first, second = sides.values()
        return float(band.ceiling(first, second, seed).mean())

    def unreliable(self, band: Displacements, sides: Sides, n: int, seed: int) -> str | None:
        """Say why directions decide nothing, if they do not."""
        undefined = self.undefined(band, sides)
        return undefined or too_noisy(self.ceiling(band, sides, seed), self.min_ceiling, n)

    def undefined(self, band: Displacements, sides: Sides) -> str | None:
        """Name the first side that moves nothing at a site of the band."""
        still = np.stack([band.still(condition) for condition in sides.values()])
        return unmoved(still, [*sides], self.sites)

    def geometry(self, band: Displacements, sides: Sides, seed: int) -> Iterator[str]:
        """Say what the cosine is beside, and where it is least: the band's mean may hide a bad site."""
        if self.undefined(band, sides):
            return
        first, second = sides.values()
        yield (
            f"{self.sites}: raw cosine {number(band.raw_cosine(first, second).mean())}, "
            f"ceiling {number(self.ceiling(band, sides, seed))}, "
            f"random null {number(band.chance(first, seed).mean())}"
        )
        known = [
            (cosine, site)
            for cosine, site in zip(self.compared(band, sides).cosines(), self.sites.sites, strict=True)
            if not isnan(cosine.value)
        ]
        if known:
            least, site = min(known, key=lambda one: one[0].value)
            spread = f"{number(least.value)} [{number(least.low)}, {number(least.high)}]"
            yield f"least of the band at {site}: specific cosine {spread}"
