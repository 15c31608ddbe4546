"""An axis: the way from the bare model, or an opposite, to a prompted persona at one site."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from coherence.errors import MeasurementError, SuiteError
from coherence.plan import Measurement, Reading, Record, Scene
from coherence.properties.criterion import too_noisy
from coherence.properties.reading import Readings, Residuals, at_site
from coherence.statistics.geometry import split_half_reliability
from coherence.statistics.intervals import Array
from coherence.vocabulary import Position, Regime, Site

LEAST_RELIABILITY = 0.6


@dataclass(frozen=True)
class Axis:
    """From the mean of one condition's own replies to the probes to that of another's.

    Positions along it are 0 at the low end and 1 at the high end, whatever the regime that is placed there.
    """

    readings: Readings
    persona: str
    against: str | None = None

    @classmethod
    def of(cls, scene: Scene, persona: str, site: Site, against: str | None = None) -> "Axis":
        """Make the axis of a persona, which must have a prompt; `against` is what stands at the low end."""
        for name in filter(None, (persona, against)):
            if not scene.supports(name, Regime.PROMPT):
                raise SuiteError(f"persona {name!r} has no prompt, and the axis leads from prompt to prompt")
        return cls(Readings(scene, Position.RESPONSE_MEAN, "own", site), persona, against)

    @property
    def site(self) -> Site:
        """The one site at which both ends are read."""
        assert self.readings.through is not None
        return self.readings.through

    @property
    def low(self) -> tuple[Reading, ...]:
        """Readings of the low end, one per probe."""
        scene = self.readings.scene
        low = scene.condition(self.against, Regime.PROMPT) if self.against else scene.bare
        return tuple(self.readings.of(low))

    @property
    def high(self) -> tuple[Reading, ...]:
        """Readings of the high end, one per probe."""
        return tuple(self.readings.of(self.readings.scene.condition(self.persona, Regime.PROMPT)))

    def needs(self) -> Iterable[Measurement]:
        """Read the replies at both ends, one reading per probe."""
        return [*self.low, *self.high]

    def measured(self, record: Record) -> "Scale":
        """Return the axis in numbers; a MeasurementError where its ends are the same."""
        low, high = (
            at_site(record, readings, self.site).astype(np.float64) for readings in (self.low, self.high)
        )
        scale = Scale(low, high, self.readings.scene.clusters)
        if not scale.length:
            raise MeasurementError(
                f"the axis of {self.persona} has no length at {self.site}: its two ends are the same"
            )
        return scale

    def unreliable(self, scale: "Scale", seed: int) -> str | None:
        """Say why nothing can be placed on it, once it is measured; None if it can."""
        noise = too_noisy(scale.reliability(seed), LEAST_RELIABILITY, len(self.readings.scene.probes))
        return noise and f"the axis of {self.persona} is not reliable at {self.site}: {noise}"


@dataclass(frozen=True, eq=False)
class Scale:
    """Both ends of an axis: [probes, width] each, paired by probe."""

    low: Array
    high: Array
    clusters: Sequence[str]

    @cached_property
    def origin(self) -> Array:
        """Mean of the low end, [width]."""
        return np.asarray(self.low.mean(axis=0))

    @cached_property
    def axis(self) -> Array:
        """From the low end to the high end, [width]."""
        return np.asarray((self.high - self.low).mean(axis=0))

    @property
    def length(self) -> float:
        """How long it is, in activation units."""
        return float(np.linalg.norm(self.axis))

    def positions(self, residuals: Residuals) -> Array:
        """Place residuals [..., width] on it: 0 at the low end, 1 at the high end."""
        moved = residuals.astype(np.float64) - self.origin
        return np.asarray(moved @ self.axis / (self.axis @ self.axis))

    def reliability(self, seed: int) -> float:
        """Split-half reliability of its direction, 0 to 1."""
        return float(split_half_reliability(self.high - self.low, seed, clusters=self.clusters))
