"""How far an invented persona goes along the directions of real ones, in two regimes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from coherence.plan import Condition, Record
from coherence.properties.reading import Contrast, unmoved
from coherence.statistics.alignment import Alignment, largest_change, largest_strength
from coherence.statistics.displacements import Displacements
from coherence.statistics.intervals import Array, Interval
from coherence.vocabulary import Band, Regime

Place = tuple[str, Regime]
"""Who is in the model, and by which regime."""


@dataclass(frozen=True, eq=False)
class Ways:
    """Ways of a persona and its anchors at some depths."""

    moved: Displacements
    places: Mapping[Place, Condition]
    persona: str
    seed: int

    @property
    def anchors(self) -> list[Place]:
        """The anchors in either regime."""
        return [place for place in self.places if place[0] != self.persona]

    @cached_property
    def along(self) -> dict[Place, Alignment]:
        """The persona along each anchor's own specific direction in the same regime."""
        return {place: self._compared(place, (self.persona, place[1])) for place in self.anchors}

    @cached_property
    def still(self) -> NDArray[np.bool_]:
        """Where one of them does not move the model: [depths]."""
        return np.asarray(np.any([self.moved.still(one) for one in self.places.values()], axis=0))

    @cached_property
    def chance(self) -> Array:
        """How far it goes along random directions as long as an anchor's, largest of all places: [depths].

        The 95 % quantile of |cos| with directions of the bare activations' covariance, times both lengths'
        ratio.
        """
        return np.asarray(np.max([self._chance(place) for place in self.anchors], axis=0))

    def lead(self, regimes: tuple[Regime, Regime]) -> Interval:
        """Cosine with its own direction in the first regime less the largest with an anchor's in either."""
        first, second = ((self.persona, regime) for regime in regimes)
        return self._compared(second, first).lead([self._compared(second, place) for place in self.anchors])

    def _compared(self, first: Place, second: Place) -> Alignment:
        return self.moved.compared(self.places[first], self.places[second])

    def _chance(self, anchor: Place) -> Array:
        own = self.places[self.persona, anchor[1]]
        length, of_anchor = (
            np.linalg.norm(self.moved.specific(one).mean(-2), axis=-1) for one in (own, self.places[anchor])
        )
        share = length / np.where(of_anchor > 0, of_anchor, np.nan)
        return np.asarray(self.moved.chance(own, self.seed) * share)


@dataclass(frozen=True, eq=False)
class Anchored:
    """A persona and its anchors where they are judged, and everywhere."""

    contrast: Contrast
    record: Record = field(repr=False)
    places: Mapping[Place, Condition]
    persona: str
    regimes: tuple[Regime, Regime]
    band: Band
    seed: int

    @property
    def n(self) -> int:
        """How many probes there are."""
        return len(self.at_band.moved.clusters)

    @cached_property
    def at_band(self) -> Ways:
        """At the sites that are judged."""
        moved = self.contrast.displacements(self.record, self.places.values(), self.band.sites)
        return self._ways(moved)

    @cached_property
    def everywhere(self) -> Ways:
        """At every site."""
        return self._ways(self.contrast.displacements(self.record, self.places.values()))

    @property
    def along(self) -> Mapping[Place, Alignment]:
        """The persona along each anchor, where it is judged."""
        return self.at_band.along

    @cached_property
    def raw(self) -> dict[Place, Alignment]:
        """The same with what any persona does left in."""
        of, clusters = self.at_band.moved.of, self.at_band.moved.clusters
        return {
            place: Alignment.of(of(self.places[place]), of(self.places[self.persona, place[1]]), clusters)
            for place in self.along
        }

    @cached_property
    def undefined(self) -> str | None:
        """Name the first of them that has no direction of its own where it is judged."""
        return self.unmoved or next(
            (
                f"{name} by {regime} is not told from what other personas do"
                for (name, regime), one in self.along.items()
                if not isfinite(one.strength().high - one.strength().low)
            ),
            None,
        )

    @cached_property
    def unmoved(self) -> str | None:
        """Name the first of them that moves nothing at a site of the band."""
        still = np.stack([self.at_band.moved.still(one) for one in self.places.values()])
        return unmoved(still, [f"{name} by {regime}" for name, regime in self.places], self.band)

    @cached_property
    def ratio(self) -> Interval:
        """(d_f . a) / (d_a . a) of the anchor and regime where it is largest."""
        return largest_strength(list(self.along.values()))

    @cached_property
    def own(self) -> Interval:
        """How much nearer the second regime is to the persona's own direction than to any anchor's."""
        return self.at_band.lead(self.regimes)

    @cached_property
    def difference(self) -> Interval:
        """Difference of the ratio in the two regimes, of the anchor where it is largest."""
        first, second = self.regimes
        names = dict.fromkeys(name for name, _ in self.along)
        return largest_change([(self.along[name, first], self.along[name, second]) for name in names])

    def _ways(self, moved: Displacements) -> Ways:
        return Ways(moved, self.places, self.persona, self.seed)
