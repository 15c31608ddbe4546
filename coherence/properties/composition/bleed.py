"""Bleed: what one persona's vector does to the markers of the others, and along what their prompts do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from coherence.plan import Condition, Measurement, Record, Scene
from coherence.properties.composition.scaled import Scaled
from coherence.properties.markers import Replies
from coherence.properties.reading import Readings, at_site
from coherence.statistics.agreement import paired_difference
from coherence.statistics.intervals import Interval
from coherence.statistics.rising_dose import along
from coherence.vocabulary import Marker, Position, Regime, Site
from coherence.vocabulary.evidence import number


def strangers(persona: str, scene: Scene) -> list[str]:
    """Name the other personas, but for kin."""
    related = {persona} | scene.kin_of(persona)
    return [name for name in scene.personas if name not in related]


def foreign_markers(persona: str, scene: Scene) -> dict[str, tuple[Marker, ...]]:
    """Markers of every other persona, but for kin, that are not the persona's own as well."""
    own = [marker for marker in scene.personas[persona].markers if not marker.absent]
    kept = {
        name: tuple(marker for marker in scene.personas[name].markers if marker not in own)
        for name in strangers(persona, scene)
    }
    return {name: markers for name, markers in kept.items() if not all(one.absent for one in markers)}


def onto_markers(vector: Scaled, bare: Replies, steered: Replies) -> dict[str, Interval]:
    """Rate of each other persona's markers among steered replies, minus the bare rate."""
    return {
        name: paired_difference(
            Replies.of(bare.texts, markers).hits,
            Replies.of(steered.texts, markers).hits,
            vector.scene.clusters,
        )
        for name, markers in foreign_markers(vector.persona, vector.scene).items()
    }


@dataclass(frozen=True)
class Projections:
    """How far a vector, at its working dose, moves the model along what each persona's prompt does."""

    vector: Scaled
    site: Site
    position: Position

    def needs(self) -> Iterable[Measurement]:
        """Read bare, steered and under every prompt."""
        return [reading for condition in self._conditions for reading in self._readings.of(condition)]

    def of(self, record: Record) -> dict[str, Interval]:
        """In lengths of what the prompt does; the persona's own among them, to compare with."""
        bare, steered, *prompted = (
            at_site(record, self._readings.of(condition), self.site) for condition in self._conditions
        )
        return {
            name: along(steered - bare, there - bare, self.vector.scene.clusters)
            for name, there in zip(self._prompts, prompted, strict=True)
        }

    @property
    def _conditions(self) -> list[Condition]:
        steered = self.vector.at(self.vector.working)
        return [self.vector.scene.bare, steered, *self._prompts.values()]

    @property
    def _readings(self) -> Readings:
        return Readings(self.vector.scene, self.position, through=self.site)

    @cached_property
    def _prompts(self) -> dict[str, Condition]:
        scene = self.vector.scene
        return {
            name: scene.condition(name, Regime.PROMPT)
            for name in scene.personas
            if scene.supports(name, Regime.PROMPT)
        }


def listed(effects: Mapping[str, Interval]) -> str:
    """Name every effect with its size."""
    return ", ".join(f"{name} {number(effect.value)}" for name, effect in effects.items())
