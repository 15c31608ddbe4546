"""Vectors of a release as steering adds them: loaded or extracted, and as long as the base's residuals."""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import torch

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import extract_key
from coherence.engine.artefacts.vectors import load_vector
from coherence.engine.model.host import Host
from coherence.engine.requests.job import Job, jobs, waves
from coherence.engine.requests.row_builder import Unit
from coherence.errors import ArtefactError, CoherenceError
from coherence.plan import CALIBRATION, Condition, Extract, Measurement, Outcome, Plan, Reading, Reply
from coherence.plan.record import Array
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Site


class Base(Protocol):
    """What makes vectors: a loaded base that measures."""

    artefacts: Artefacts

    @property
    def host(self) -> Host:
        """The base model, loaded when it is first asked for and kept."""
        ...

    @property
    def norms(self) -> Array:
        """Median norms of residuals, [blocks + 1]."""
        ...

    def measured(self, job: Job) -> Iterable[tuple[Measurement, Outcome]]:
        """Yield the outcome of each measurement of a job."""
        ...


class Units:
    """Loads or extracts each vector once."""

    def __init__(self, base: Base, store: Store) -> None:
        self._base, self._store = base, store
        self._made: dict[str, Unit | CoherenceError] = {}

    def __call__(self, name: str) -> Unit:
        """Return the depth of a vector, and the vector [width] as long as the median residual there."""
        if name not in self._made:
            try:
                with self._base.artefacts.reading("vectors", name):
                    self._made[name] = self._make(name)
            except CoherenceError as problem:
                self._made[name] = problem
        found = self._made[name]
        if isinstance(found, CoherenceError):
            raise found
        return found

    def _make(self, name: str) -> Unit:
        source = self._base.artefacts.release.vectors[name]
        if source.extract is not None:
            values, site = self.extract(self._base.artefacts.extracts[name]), source.extract.site
        else:
            vector = load_vector(source, self._base.host.width, len(self._base.host.blocks), name)
            values, site = vector.values, vector.site
        # In fp64, where no norm of fp32 values overflows.
        exact = values.astype(np.float64)
        unit = exact / np.linalg.norm(exact) * self._base.norms[site.depth]
        return site.depth, torch.tensor(unit, dtype=torch.float32)

    def extract(self, extract: Extract) -> Array:
        """Make a vector [width]: mean over the calibration questions of h(positive) - h(negative).

        An ArtefactError when the two sides do not differ there, or the site is not one of the base.
        """
        last = len(self._base.host.blocks) - 1
        if extract.site.block > last:
            raise ArtefactError(f"found the site {extract.site}, expected a block from 0 to {last}")
        stored = self._store.get(extract_key(extract, self._base.artefacts))
        if isinstance(stored, np.ndarray):
            return stored
        positive, negative = (
            self._mean_residuals(condition, extract.position, extract.site)
            for condition in (extract.positive, extract.negative)
        )
        values = np.array((positive - negative)[extract.site.depth])
        if not values.any():
            raise ArtefactError(
                f"the two prompts do not differ at {extract.site}: there is no direction to extract"
            )
        with self._base.artefacts.unchanged():
            key = extract_key(extract, self._base.artefacts)
        self._store.put(key, values)
        return values

    def _mean_residuals(self, condition: Condition, position: Position, site: Site) -> Array:
        texts = (Reply(condition, probe, Decoding()) if position.spoken else None for probe in CALIBRATION)
        readings = [
            Reading(condition, probe, position, text, site)
            for probe, text in zip(CALIBRATION, texts, strict=True)
        ]
        outcomes: dict[Measurement, Outcome] = {}
        for wave in waves([*Plan(readings)]):
            (job,) = jobs(wave, outcomes)
            outcomes |= self._base.measured(job)
        collected = [_sound(outcomes[reading]) for reading in readings]
        return np.asarray(np.mean(collected, axis=0, dtype=np.float64), dtype=np.float32)


def _sound(outcome: Outcome) -> Array:
    if isinstance(outcome, CoherenceError):
        raise outcome
    assert isinstance(outcome, np.ndarray)
    return outcome
