"""Collinearity: two regimes move the model the same way, beyond what any persona would do."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, nan
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.cast import Between, Pair, cast, pairs, require_probes, slug, supporting
from coherence.properties.curve import over_depth
from coherence.properties.property import Case, Property
from coherence.properties.reading import Readings, Sample, within_reach
from coherence.statistics.directions import Comparison, Directions
from coherence.statistics.intervals import Array, Interval, bootstrap
from coherence.vocabulary import (
    Band,
    Criterion,
    Curve,
    Estimate,
    Evidence,
    Position,
    ProbeNote,
    Regime,
)

LEAST_PROBES = 4
LEAST_CONTROLS = 2
MASSIVE = 0.1  # a share of energy in three dimensions that is worth a warning


@dataclass(frozen=True)
class Footing:
    """What the cosines of the band are held against, and why they cannot decide, if they cannot."""

    ceiling: float
    chance: float
    unreliable: str | None


@dataclass(frozen=True)
class CollinearityCase(Case):
    """One persona, two regimes; the suite's other personas are the controls."""

    persona: str
    slug: str
    asked: "Collinearity"
    scene: Scene
    regimes: Pair
    personas: tuple[str, ...]  # the judged one first

    def needs(self) -> Iterable[Measurement]:
        """Read the bare model and every persona in both regimes, on every probe; and replies to look at."""
        conditions = [self.scene.bare, *(c for regime in self.regimes for c in self._conditions(regime))]
        readings = (reading for condition in conditions for reading in self._readings.of(condition))
        return [*readings, *self._sample.replies.values()]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge the specific cosine over the band, its margin over other personas, and chance."""
        directions = self._directions(record)
        ceiling = directions.ceiling(self._clusters, seed)
        depths = [within_reach(site, len(ceiling)).depth for site in self.asked.sites.sites]
        band = directions.at(depths)
        footing = self._footing(band, float(ceiling[depths].mean()), seed)
        return Evidence(
            criteria=self._criteria(Comparison(band, self._clusters), footing, seed),
            curve=_curve(directions, ceiling),
            probes=(*self._worst(band), self._sample.note(record)),
            notes=self._notes(band, footing),
        )

    @property
    def _clusters(self) -> list[str]:
        return [probe.cluster for probe in self.scene.probes]

    def _criteria(self, comparison: Comparison, footing: Footing, seed: int) -> tuple[Criterion, ...]:
        def criterion(name: str, statistic: Callable[[Array], Array], at_least: float) -> Criterion:
            undefined = np.isnan(footing.ceiling)
            found = Interval(nan, -inf, inf) if undefined else bootstrap(statistic, self._clusters, seed)
            n = len(self.scene.probes)
            estimate = Estimate(name=name, value=found.value, low=found.low, high=found.high, n=n)
            return Criterion(estimate=estimate, at_least=at_least, unreliable=footing.unreliable)

        return (
            criterion("specific cosine", comparison.corrected, self.asked.min_cosine),
            criterion("margin over best foreign persona", comparison.margin, self.asked.min_margin),
            criterion("above random null", lambda drawn: comparison.own(drawn) - footing.chance, 0.0),
        )

    def _footing(self, band: Directions, ceiling: float, seed: int) -> Footing:
        undefined = self._undefined(band)
        if undefined:
            return Footing(nan, nan, undefined)
        noisy = (
            f"the ceiling {ceiling:.2f} is below {self.asked.min_ceiling:g}: "
            f"{len(self.scene.probes)} probes do not tell these directions from noise"
        )
        # Sites move together, so the mean of their quantiles stands for the quantile of their mean.
        chance = float(band.chance(seed).mean())
        return Footing(ceiling, chance, None if ceiling >= self.asked.min_ceiling else noisy)

    def _undefined(self, band: Directions) -> str | None:
        found = np.argwhere(band.still())
        if not len(found):
            return None
        regime, persona, site = found[0]
        return (
            f"undefined: {self.personas[persona]!r} is not moved by {self.regimes[regime]} "
            f"at {self.asked.sites.sites[site]}"
        )

    def _worst(self, band: Directions) -> tuple[ProbeNote, ...]:
        if band.still().any():
            return ()
        by_probe = band.by_probe()
        between = f"between {self.regimes[0]} and {self.regimes[1]}"
        return tuple(
            ProbeNote(probe=self.scene.probes[row].id, note=f"specific cosine {by_probe[row]:.2f} {between}")
            for row in np.argsort(by_probe, kind="stable")[:3]
        )

    def _notes(self, band: Directions, footing: Footing) -> tuple[str, ...]:
        if np.isnan(footing.ceiling):
            return ()
        cosines = band.cosines().mean(-1)
        best = 1 + int(np.argmax(cosines[1:]))
        share, without = (float(by_site.mean()) for by_site in band.massive())
        notes = (
            f"{self.asked.sites}: raw cosine {band.raw_cosine().mean():.2f}, specific {cosines[0]:.2f} "
            f"before correction for the ceiling {footing.ceiling:.2f}, random null {footing.chance:.2f}",
            f"best foreign persona: {self.personas[best]} ({cosines[best]:.2f})",
        )
        massive = f"three dimensions carry {share:.0%} of the energy; cosine {without:.2f} without them"
        return (*notes, massive) if share > MASSIVE else notes

    def _directions(self, record: Record) -> Directions:
        bare = self._readings.residuals(record, self.scene.bare)
        first, second = (
            np.stack(
                [self._readings.residuals(record, condition) - bare for condition in self._conditions(regime)]
            )
            for regime in self.regimes
        )
        return Directions(first, second, bare)

    @property
    def _sample(self) -> Sample:
        return Sample(
            self.scene, {str(regime): self.scene.condition(self.persona, regime) for regime in self.regimes}
        )

    @property
    def _readings(self) -> Readings:
        return Readings(self.scene, self.asked.position, self.asked.text)

    def _conditions(self, regime: Regime) -> list[Condition]:
        return [self.scene.condition(persona, regime) for persona in self.personas]


def _curve(directions: Directions, ceiling: Array) -> Curve:
    cosines = directions.cosines()
    columns = {
        "raw": directions.raw_cosine(),
        "specific": cosines[0],
        "ceiling": ceiling,
        "best foreign": cosines[1:].max(0),
    }
    return over_depth(columns, np.asarray(directions.still().any((0, 1))))


class Collinearity(Property):
    """The persona's direction in one regime is that of the other, and not that of another persona.

    Any prompt and any adapter move a model along a shared direction: even opposite personas look collinear.
    Judged is the specific direction, without the mean of all the suite's personas in that regime.
    """

    family: ClassVar[str] = "collinearity"

    property: Literal["collinearity"] = Field(description="Names this property.")
    between: Between = None
    sites: Band = Field(description="Where the directions are compared; cosines are averaged over the band.")
    position: Position = Field(Position.PROMPT_LAST, description="At which token the directions are read.")
    text: Literal["shared", "own"] = Field(
        "shared",
        description="For response_mean: every condition reads the bare model's reply (shared), or its own.",
    )
    min_cosine: float = Field(
        ge=-1, le=1, description="Least specific cosine of the two regimes, divided by its ceiling."
    )
    min_margin: float = Field(
        0.0, ge=0, le=2, description="Least lead of the specific cosine over the best foreign persona's."
    )
    min_ceiling: float = Field(
        0.6, ge=0, le=1, description="Reliability of the directions below which nothing is decided."
    )

    def cases(self, scene: Scene) -> list[Case]:
        """One case per pair of regimes and persona; at least two other personas must serve as controls."""
        require_probes(scene, LEAST_PROBES, "collinearity")
        found = [
            self._case(persona, pair, scene)
            for pair in pairs(self.between, scene)
            for persona in cast(self.personas, scene, supporting(pair, scene).__contains__)
        ]
        if not found:
            raise SuiteError("collinearity found no persona that two of the regimes can put into the model")
        return found

    def _case(self, persona: str, pair: Pair, scene: Scene) -> Case:
        for regime in pair:
            scene.condition(persona, regime)  # complains of an artefact that is missing
        controls = [other for other in supporting(pair, scene) if other != persona]
        if len(controls) < LEAST_CONTROLS:
            raise SuiteError(
                f"collinearity of {persona!r} needs at least two control personas that {pair[0]} "
                f"and {pair[1]} can put into the model; found {', '.join(controls) or 'none'}: "
                "add personas to the suite, or their adapters and vectors to the release"
            )
        return CollinearityCase(persona, slug(pair), self, scene, pair, (persona, *controls))
