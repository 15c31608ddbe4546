"""Collinearity: two regimes move the model the same way, beyond what any persona would do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from coherence.errors import SuiteError
from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.cast import Between, Pair, cast, pairs, require_probes, slug, supporting
from coherence.properties.control import artefact_regime, neutral_prompt, random_vectors, stand_ins
from coherence.properties.criterion import held, too_noisy
from coherence.properties.curve import over_depth
from coherence.properties.lengths import by_length
from coherence.properties.property import Case, Property
from coherence.properties.reading import Readings, Sample
from coherence.statistics.directions import Directions
from coherence.statistics.intervals import Interval
from coherence.vocabulary import (
    Band,
    Criterion,
    Curve,
    Evidence,
    Position,
    ProbeNote,
    Regime,
)
from coherence.vocabulary.evidence import number

LEAST_PROBES = 4
LEAST_CONTROLS = 2
UNKNOWN = Interval(nan, -inf, inf)
MASSIVE = 0.1  # a share of energy in three dimensions that is worth a warning


@dataclass(frozen=True)
class CollinearityCase(Case):
    """One persona, two regimes; the directions of the suite's other personas are foreign ones."""

    persona: str
    slug: str
    asked: "Collinearity"
    scene: Scene
    regimes: Pair
    personas: tuple[str, ...]  # the judged one first

    def needs(self) -> Iterable[Measurement]:
        """Read the bare model and every persona in both regimes, on every probe; and replies to look at."""
        return [*self.rests_on(), *self._sample.replies.values()]

    def rests_on(self) -> Iterable[Measurement]:
        """List the readings."""
        conditions = [self.scene.bare, *(c for regime in self.regimes for c in self._conditions(regime))]
        return [reading for condition in conditions for reading in self._readings.of(condition)]

    def judge(self, record: Record, seed: int) -> Evidence:
        """Judge the specific cosine over the band, its margin over other personas, and chance."""
        directions = self._directions(record)
        band = directions.at(self._depths(record))
        return Evidence(
            criteria=tuple(self._criteria(band, seed)),
            curve=self._curve(directions, seed),
            probes=(*self._worst(band), self._sample.note(record)),
            notes=self._notes(band, seed),
        )

    def criteria(self, record: Record, seed: int) -> Iterator[Criterion]:
        """Yield the same criteria from the sites of the band alone."""
        return self._criteria(self._directions(record, self._depths(record)), seed)

    def controls(self) -> Mapping[str, Sequence[Case]]:
        """Another persona in the last regime with artefacts, random vectors, an empty prompt as long."""
        regime, others = artefact_regime(self.regimes), self.personas[1:]
        scenes = (
            *stand_ins(self.scene, self.persona, regime, others),
            *random_vectors(self.scene, self.persona, self.regimes),
            *neutral_prompt(self.scene, self.persona, self.regimes),
        )
        return {name: [replace(self, scene=scene) for scene in several] for name, several in scenes}

    def _depths(self, record: Record) -> list[int]:
        return self._readings.depths(record, self.asked.sites.sites)

    def _criteria(self, band: Directions, seed: int) -> Iterator[Criterion]:
        undefined = self._undefined(band)
        unreliable = undefined or self._noisy(band, seed)
        n, unknown = len(self.scene.probes), UNKNOWN
        comparison = band.compared(self.scene.clusters)
        cosine = unknown if undefined else comparison.cosine()
        yield held(
            "specific cosine", cosine, n, self.asked.min_cosine, unreliable=unreliable, key="min_cosine"
        )
        yield held(
            "margin over best foreign persona",
            unknown if undefined else comparison.margin(),
            n,
            self.asked.min_margin,
            unreliable=unreliable,
            key="min_margin",
        )
        chance = nan if undefined else _chance(band, seed)
        yield held("above random null", cosine.above(chance), n, 0.0, unreliable=unreliable, key=None)

    def _noisy(self, band: Directions, seed: int) -> str | None:
        return too_noisy(self._ceiling(band, seed), self.asked.min_ceiling, len(self.scene.probes))

    def _ceiling(self, band: Directions, seed: int) -> float:
        return float(band.ceiling(self.scene.clusters, seed).mean())

    def _undefined(self, band: Directions) -> str | None:
        found = np.argwhere(band.still())
        if not len(found):
            return None
        regime, persona, site = found[0]
        return (
            f"{self.personas[persona]!r} is not moved by {self.regimes[regime]} "
            f"at {self.asked.sites.sites[site]}"
        )

    def _worst(self, band: Directions) -> tuple[ProbeNote, ...]:
        if band.still().any():
            return ()
        by_probe = band.by_probe()
        between = f"between {self.regimes[0]} and {self.regimes[1]}"
        return tuple(
            ProbeNote(
                probe=self.scene.probes[row].id, note=f"specific cosine {number(by_probe[row])} {between}"
            )
            for row in np.argsort(by_probe, kind="stable")[:3]
        )

    def _notes(self, band: Directions, seed: int) -> tuple[str, ...]:
        if band.still().any():
            return ()
        cosines = band.cosines().mean(-1)
        best = 1 + int(np.argmax(cosines[1:]))
        share, without = (float(by_site.mean()) for by_site in band.massive())
        ceiling, chance = self._ceiling(band, seed), _chance(band, seed)
        notes = (
            f"{self.asked.sites}: raw cosine {number(band.raw_cosine().mean())}, "
            f"specific {number(cosines[0])} before correction for the ceiling {number(ceiling)}, "
            f"random null {number(chance)}",
            f"best foreign persona: {self.personas[best]} ({number(cosines[best])})",
        )
        massive = f"three dimensions carry {share:.0%} of the energy; cosine {without:.2f} without them"
        lengths = by_length("specific cosine", band.by_probe(), self.scene.probes)
        return (*notes, *((massive,) if share > MASSIVE else ()), *lengths)

    def _curve(self, directions: Directions, seed: int) -> Curve:
        still = np.asarray(directions.still().any((0, 1)))
        judged = [
            UNKNOWN if undefined else self._cosine(directions.at([depth]))
            for depth, undefined in enumerate(still)
        ]
        columns = {
            "specific": np.array([cosine.value for cosine in judged]),
            "low": np.array([cosine.low for cosine in judged]),
            "high": np.array([cosine.high for cosine in judged]),
            "raw": directions.raw_cosine(),
            "ceiling": directions.ceiling(self.scene.clusters, seed),
            "best foreign": directions.cosines()[1:].max(0),
            "random null": directions.chance(seed),
        }
        return over_depth(columns, still)

    def _cosine(self, band: Directions) -> Interval:
        return band.compared(self.scene.clusters).cosine()

    def _directions(self, record: Record, depths: Sequence[int] | None = None) -> Directions:
        first, second = map(self._conditions, self.regimes)
        bare, moved = self._readings.displaced(record, [*first, *second], depths)
        return Directions(moved[: len(first)], moved[len(first) :], bare)

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


def _chance(band: Directions, seed: int) -> float:
    # Sites move together, so the mean of their quantiles stands for the quantile of their mean.
    return float(band.chance(seed).mean())


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
