"""What a condition does to the residual stream: one reading per probe."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coherence.errors import MeasurementError
from coherence.plan import Condition, Reading, Record, Reply, Scene
from coherence.statistics.displacements import Displacements
from coherence.statistics.generic import Generic
from coherence.vocabulary import Band, Part, Position, ProbeNote, Regime, Site

Residuals = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Readings:
    """Readings of a scene's probes at one position; of a reply, the bare model's (shared) or each its own.

    A position in a reply is one of a `part` of it. Nothing beyond `through` is read.
    """

    scene: Scene
    position: Position
    text: Literal["shared", "own"] = "shared"
    through: Site | None = None
    part: Part = Part.ANSWER

    def of(self, condition: Condition) -> list[Reading]:
        """Read a condition on every probe: at the prompt, or over a reply, bare's or its own by `text`."""
        if not self.position.spoken:
            return [
                Reading(condition, probe, self.position, through=self.through) for probe in self.scene.probes
            ]
        speaker = condition if self.text == "own" else self.scene.bare
        return [
            Reading(
                condition,
                probe,
                self.position,
                Reply(speaker, probe, self.scene.decoding),
                self.through,
                part=self.part,
            )
            for probe in self.scene.probes
        ]

    def residuals(
        self, record: Record, condition: Condition, depths: Sequence[int] | None = None
    ) -> Residuals:
        """Residuals of all probes under the condition, at all depths or a run: [depths, probes, width]."""
        kept = slice(None) if depths is None else slice(depths[0], depths[-1] + 1)
        return np.stack([record.residuals(reading)[kept] for reading in self.of(condition)], axis=1)

    def displaced(
        self, record: Record, conditions: Sequence[Condition], depths: Sequence[int] | None = None
    ) -> tuple[Residuals, Residuals]:
        """Bare residuals, and how far conditions move them: [conditions, depths, probes, width]."""
        bare = self.residuals(record, self.scene.bare, depths)
        moved = np.empty((len(conditions), *bare.shape), bare.dtype)
        for place, condition in zip(moved, conditions, strict=True):
            np.subtract(self.residuals(record, condition, depths), bare, out=place)
        return bare, moved

    def depths(self, record: Record, sites: Iterable[Site]) -> list[int]:
        """Find the rows of a run of sites; a MeasurementError when the model has no such block."""
        within = len(record.residuals(self.of(self.scene.bare)[0]))
        return [within_reach(site, within).depth for site in sites]


@dataclass(frozen=True)
class Contrast:
    """Readings of some conditions, with those of control personas beside them in the same regimes."""

    readings: Readings
    controls_by_kin: Sequence[Sequence[str]]
    regimes: Sequence[Regime]

    @cached_property
    def controls(self) -> list[list[list[Condition]]]:
        """Units of kin, in each the personas, and of each a condition for every regime."""
        scene = self.readings.scene
        return [
            [[scene.condition(name, regime) for regime in self.regimes] for name in unit]
            for unit in self.controls_by_kin
        ]

    def needs(self, conditions: Iterable[Condition]) -> list[Reading]:
        """Read bare, the conditions and the controls on every probe."""
        every = dict.fromkeys([self.readings.scene.bare, *conditions, *self._beside])
        return [reading for condition in every for reading in self.readings.of(condition)]

    def displacements(
        self, record: Record, conditions: Iterable[Condition], sites: Iterable[Site] | None = None
    ) -> Displacements:
        """Displacements of the conditions and the controls, at every site or a run of them."""
        readings = self.readings
        depths = None if sites is None else readings.depths(record, sites)
        rows = {condition: row for row, condition in enumerate(dict.fromkeys([*conditions, *self._beside]))}
        bare, moved = readings.displaced(record, tuple(rows), depths)
        units = [
            np.mean([[moved[rows[one]].mean(-2, dtype=np.float64) for one in persona] for persona in unit], 0)
            for unit in self.controls
        ]
        return Displacements(rows, moved, Generic(np.stack(units)), bare, readings.scene.clusters)

    @property
    def _beside(self) -> Iterator[Condition]:
        return (one for unit in self.controls for persona in unit for one in persona)


@dataclass(frozen=True)
class ExampleReplies:
    """What the first probe is answered under some conditions: nothing is judged by it, people look at it."""

    scene: Scene
    conditions: Mapping[str, Condition]

    @property
    def replies(self) -> dict[str, Reply]:
        """The reply of each condition."""
        probe = self.scene.probes[0]
        return {
            name: Reply(condition, probe, self.scene.decoding) for name, condition in self.conditions.items()
        }

    def note(self, record: Record) -> ProbeNote:
        """Put the replies side by side."""
        replies = {name: record.reply(reply) for name, reply in self.replies.items()}
        return ProbeNote(probe=self.scene.probes[0].id, note="a sample", replies=replies)


def unmoved(still: NDArray[np.bool_], sides: Sequence[str], band: Band) -> str | None:
    """Say the first side that moves nothing at a site of the band, [sides, depths]; None if all do."""
    places = np.argwhere(still)
    if not len(places):
        return None
    side, site = places[0]
    return f"{sides[side]} moves nothing at {band.sites[site]}"


def at_site(record: Record, readings: Iterable[Reading], site: Site) -> Residuals:
    """Residuals of readings, [readings, width]; a MeasurementError when the model has no such block."""
    stacks = map(record.residuals, readings)
    return np.stack([by_depth[within_reach(site, len(by_depth)).depth] for by_depth in stacks])


def within_reach(site: Site, depths: int) -> Site:
    """Return the site; a MeasurementError when the model has no such block."""
    if site.depth >= depths:
        raise MeasurementError(f"{site} lies beyond the model, whose last site is resid_post.{depths - 2}")
    return site
