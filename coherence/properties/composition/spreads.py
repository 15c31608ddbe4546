"""Spreads: what was found at each site of a band, which a mean over the band may hide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from coherence.properties.columns import table
from coherence.statistics.interaction import quartiles
from coherence.statistics.intervals import Array
from coherence.vocabulary import Band, Site, Table
from coherence.vocabulary.evidence import number


@dataclass(frozen=True)
class Spread:
    """Values [sites, cells] by site; `worst` is the sign of the worse ones."""

    name: str
    sites: Sequence[Site]
    values: Array
    worst: int

    def quartiles(self, band: Band) -> Array:
        """Quartiles over the cells at each site of a band and, last, of the cells' means: [3, sites + 1]."""
        by_site = np.full((3, len(band.sites) + 1), np.nan)
        by_site[:, [band.sites.index(site) for site in self.sites]] = quartiles(self.values)
        by_site[:, -1] = quartiles(self.values.mean(0))
        return by_site

    def __str__(self) -> str:
        medians = quartiles(self.values)[1]
        row = int((self.worst * medians).argmax())
        mean = number(float(self.values.mean()))
        return f"{self.name} {number(medians[row])} at {self.sites[row]} (mean of the band {mean})"


@dataclass(frozen=True)
class Spreads:
    """Cosine and interaction ratio at the sites of a band, and KL at those that are tested."""

    band: Band
    cosine: Array
    interaction: Array
    tested: Sequence[Site]
    kl: Array

    def table(self) -> Table:
        """Quartiles over the tasks at each site, and of each task's mean over the band."""
        columns = {
            f"{spread.name} {end}": values
            for spread in self._each
            for end, values in zip(("q1", "median", "q3"), spread.quartiles(self.band), strict=True)
        }
        rows = [*map(str, self.band.sites), "mean of the band"]
        return table("quartiles over the tasks", rows, columns)

    def worst(self) -> str:
        """Name the worst site of each, beside the mean that is judged."""
        return f"worst site of {self.band}, medians over the tasks: {', '.join(map(str, self._each))}"

    @property
    def _each(self) -> Iterator[Spread]:
        yield Spread("cosine", self.band.sites, self.cosine, -1)
        yield Spread("interaction ratio", self.band.sites, self.interaction, 1)
        yield Spread("KL", self.tested, self.kl, 1)
