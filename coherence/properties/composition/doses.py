"""Doses: what is answered under a persona's vector, and what that does to the text and to others."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from math import nan

import numpy as np
from numpy.typing import NDArray

from coherence.plan import Condition, Record
from coherence.properties.composition.bleed import Projections, onto_markers
from coherence.properties.composition.scaled import Scaled
from coherence.properties.markers import Replies
from coherence.statistics.agreement import Hits
from coherence.statistics.intervals import Array, Interval
from coherence.statistics.rising_dose import geometric_ratio


@dataclass(frozen=True, eq=False)
class Doses:
    """What was measured at doses that rise from 0, where the model is bare."""

    vector: Scaled
    at: Sequence[float]
    projections: Projections | None
    record: Record

    @property
    def working(self) -> int:
        """Row of the dose that the persona is steered with otherwise."""
        return self.at.index(self.vector.working)

    @cached_property
    def replies(self) -> list[Replies]:
        """What is said at each dose, with the persona's markers."""
        return [self._said(self.vector.at(dose)) for dose in self.at]

    @cached_property
    def hits(self) -> Hits:
        """Which replies hold a marker, [doses, probes]."""
        return np.stack([replies.hits for replies in self.replies])

    @cached_property
    def prompted(self) -> tuple[Replies, Replies]:
        """What is said under the persona's prompt, and when the vector is taken away from it."""
        return self._said(self.vector.prompted), self._said(self.vector.subtracted)

    @cached_property
    def surprise(self) -> Array:
        """Logarithm of each reply's perplexity, read bare: [doses, probes]; NaN for an empty one."""
        read = (self.record.likelihood(each) for dose in self.at for each in self.vector.likelihoods(dose))
        surprises = [-each.mean(dtype=np.float64) if len(each) else nan for each in read]
        return np.reshape(surprises, (len(self.at), -1))

    @cached_property
    def told(self) -> NDArray[np.bool_]:
        """Which probes have a perplexity to compare with a bare one, [doses, probes]."""
        return np.asarray(np.isfinite(self.surprise + self.surprise[0]))

    @cached_property
    def perplexity(self) -> list[Interval]:
        """Geometric mean at each dose, over that of the bare model's own replies."""
        bare, clusters = self.surprise[0], self.vector.scene.clusters
        return [
            geometric_ratio(steered[told], bare[told], list(compress(clusters, told)))
            for steered, told in zip(self.surprise, self.told, strict=True)
        ]

    @cached_property
    def bleed(self) -> dict[str, Interval]:
        """What the persona's own dose does to the markers of each other persona."""
        return onto_markers(self.vector, self.replies[0], self.replies[self.working])

    @cached_property
    def along_prompts(self) -> dict[str, Interval]:
        """How far it goes along each persona's prompt; nothing where no site is named."""
        return self.projections.of(self.record) if self.projections else {}

    def _said(self, condition: Condition) -> Replies:
        texts = map(self.record.reply, self.vector.replies(condition))
        return Replies.of(texts, self.vector.scene.personas[self.vector.persona].markers)
