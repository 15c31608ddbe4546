"""Chimera: two personas summed at inference are the adapter that was trained on their mix.

Geometry, next-token distribution and behaviour must all agree: each alone can be met by something else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from coherence.errors import SuiteError, did_you_mean
from coherence.plan import Condition, Measurement, NextToken, Record, Reply, Scene
from coherence.properties.cast import Couple, cast, require_probes
from coherence.properties.curve import column, every_site
from coherence.properties.property import Case, Property
from coherence.properties.reading import Readings, Residuals, within_reach
from coherence.statistics.agreement import Hits, paired_difference
from coherence.statistics.geometry import cosine, random_null, split_half_reliability
from coherence.statistics.intervals import Array, Interval, bootstrap
from coherence.statistics.products import Products, corrected
from coherence.vocabulary import (
    Band,
    Criterion,
    Curve,
    Estimate,
    Evidence,
    Marker,
    Position,
    Probe,
    ProbeNote,
    Regime,
)

ADAPTER = Regime.parse("adapter")
LEAST_PROBES = 4
LEAST_CONTROLS = 2
LEAST_KL = 0.01  # nats; a chimera nearer to bare than this has no next token of its own to explain


@dataclass(frozen=True)
class Displacements:
    """What a condition and its controls, each in the same regime, do to the residual stream."""

    raw: Residuals  # [depths, probes, width]
    controls: Residuals  # [controls, depths, probes, width]

    @property
    def specific(self) -> Residuals:
        """The condition's own part, [depths, probes, width]."""
        return self._without_generic(self.raw)

    @property
    def foreign(self) -> Residuals:
        """The controls' own parts, [controls, depths, probes, width]."""
        return self._without_generic(self.controls)

    def _without_generic(self, displacement: Residuals) -> Residuals:
        # A sum holds the generic component twice, or less where the model saturates: whatever lies along its
        # direction is taken away, where the mean itself would be the right amount only for a single persona.
        generic = self.controls.mean((0, 2))[:, None, :]
        length = np.linalg.norm(generic, axis=-1, keepdims=True)
        unit = generic / np.where(length > 0, length, 1.0)
        return np.asarray(displacement - (displacement * unit).sum(-1, keepdims=True) * unit)
