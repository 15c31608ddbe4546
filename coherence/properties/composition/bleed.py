"""Bleed: what one persona's vector does to the markers of the others, and along what their prompts do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.composition.scaled import Scaled
from coherence.properties.reading import Readings, Residuals, within_reach
from coherence.statistics.agreement import paired_difference
from coherence.statistics.dose import along
from coherence.statistics.intervals import Interval
from coherence.vocabulary import Marker, Position, Regime, Site
from coherence.vocabulary.evidence import number


def onto_markers(vector: Scaled, record: Record) -> dict[str, Interval]:
    """Rate of each other persona's markers at the vector's working dose, minus the bare rate."""
    bare, steered = vector.at(0.0), vector.at(vector.working)
    return {
        name: paired_difference(
            vector.said(record, bare, markers).hits,
            vector.said(record, steered, markers).hits,
            vector.scene.clusters,
        )
        for name, markers in foreign_markers(vector.persona, vector.scene).items()
    }


def foreign_markers(persona: str, scene: Scene) -> dict[str, tuple[Marker, ...]]:
    """Markers of every other persona, but for kin, that are not the persona's own as well."""
    own, related = scene.personas[persona].markers, {persona} | scene.kin_of(persona)
    kept = {
        name: tuple(marker for marker in other.markers if marker not in own)
        for name, other in scene.personas.items()
        if name not in related
    }
    return {name: markers for name, markers in kept.items() if markers}


@dataclass(frozen=True)
class Projections:
    """How far a vector, at its working dose, moves the model along what each persona's prompt does."""

    vector: Scaled
    site: Site
    position: Position

    def needs(self) -> Iterable[Measurement]:
        """Read bare, steered and under every prompt."""
        conditions = (self.vector.at(0.0), self.vector.at(self.vector.working), *self._prompts.values())
        return [reading for condition in conditions for reading in self._readings.of(condition)]

    def of(self, record: Record) -> dict[str, Interval]:
        """In lengths of what the prompt does; the persona's own among them, to compare with."""
        bare = self._residuals(record, self.vector.at(0.0))
        moved = self._residuals(record, self.vector.at(self.vector.working)) - bare
        return {
            name: along(moved, self._residuals(record, condition) - bare, self.vector.scene.clusters)
            for name, condition in self._prompts.items()
        }

    def foreign(self, record: Record) -> list[Interval]:
        """Those of the other personas, but for kin."""
        persona, scene = self.vector.persona, self.vector.scene
        related = {persona} | scene.kin_of(persona)
        return [found for name, found in self.of(record).items() if name not in related]

    def _residuals(self, record: Record, condition: Condition) -> Residuals:
        by_depth = self._readings.residuals(record, condition)
        return np.asarray(by_depth[within_reach(self.site, len(by_depth)).depth])

    @property
    def _readings(self) -> Readings:
        return Readings(self.vector.scene, self.position, through=self.site)

    @property
    def _prompts(self) -> dict[str, Condition]:
        scene = self.vector.scene
        return {
            name: scene.condition(name, Regime.PROMPT)
            for name in scene.personas
            if scene.supports(name, Regime.PROMPT)
        }


def listed(effects: Mapping[str, Interval]) -> str:
    """Name every effect with its size."""
    return ", ".join(f"{name} {number(found.value)}" for name, found in effects.items())
