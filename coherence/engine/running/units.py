"""Vectors of a release as steering adds them: loaded or extracted, and as long as the base's residuals."""

import numpy as np
import torch
from torch import Tensor

from coherence.engine.artefacts.keys import extract_key, vector_remark_key
from coherence.engine.artefacts.vectors import Directions, load_vector, spread_over
from coherence.engine.artefacts.vectors.unfit import UnfitError
from coherence.engine.requests.job import jobs, waves
from coherence.engine.requests.row_builder import RowBuilder, Unit
from coherence.engine.running.passes import Passes
from coherence.errors import ArtefactError, CoherenceError, MeasurementError
from coherence.plan import CALIBRATION, Answer, Condition, Extract, Measurement, Outcome, Plan, Reading, Reply
from coherence.plan.record import Array
from coherence.store import Store
from coherence.vocabulary import Decoding, Part, Position, Site, VectorSource

_ROUNDING = 1e-6  # of a cosine, where a direction was scaled to the norms of several sites


class Units:
    """Loads or extracts each vector once."""

    def __init__(self, base: Passes, store: Store) -> None:
        self._base, self._store = base, store
        self._builder = RowBuilder(base.mounted, _unsteered)
        self._made: dict[str, Unit | CoherenceError] = {}

    def __call__(self, name: str, at: Site | None = None) -> Unit:
        """Return what a dose of 1 of a vector adds, by depth: [width], as long as the median residual there.

        That of a raw one is as long as it is. With a site its one direction is put `at` it: an ArtefactError
        where it has several, a MeasurementError where the model has no such site.
        """
        unit = self._unmoved(name)
        return unit if at is None else self._moved(name, unit, at)

    def _unmoved(self, name: str) -> Unit:
        if name not in self._made:
            try:
                with self._base.artefacts.reading("vectors", name):
                    self._made[name] = self._make(name)
            except CoherenceError as problem:
                self._made[name] = problem
        unit = self._made[name]
        if isinstance(unit, CoherenceError):
            raise unit
        return unit

    def _make(self, name: str) -> Unit:
        source = self._base.artefacts.release.vectors[name]
        vector = self._extracted(name, source) if source.extract else self._loaded(name, source)
        return {site.depth: self._sized(values, site, source) for site, values in vector.items()}

    def _moved(self, name: str, unit: Unit, at: Site) -> Unit:
        if at.depth >= len(self._base.norms):
            last = Site.at_depth(len(self._base.norms) - 1)
            raise MeasurementError(f"{at} lies beyond the model, whose last site is {last}")
        first, *others = unit.values()
        if not all(_same_way(first, other) for other in others):
            with self._base.artefacts.blaming("vectors", name):
                raise ArtefactError(f"found directions of {len(unit)} sites, expected one to be put at {at}")
        return {at.depth: self._sized(first.numpy(), at, self._base.artefacts.release.vectors[name])}

    def _loaded(self, name: str, source: VectorSource) -> Directions:
        vector = load_vector(source, self._base.host.width, len(self._base.host.blocks), name)
        if vector.remark:
            self._store.put(vector_remark_key(name, self._base.artefacts), Answer(vector.remark, ()))
        return vector.directions

    def _extracted(self, name: str, source: VectorSource) -> Directions:
        extract = self._base.artefacts.extracts[name]
        try:
            sites = spread_over(source.sites, len(self._base.host.blocks)) if source.sites else [extract.site]
        except UnfitError as problem:
            raise ArtefactError(str(problem)) from problem
        return dict.fromkeys(sites, self.extract(extract))

    def _sized(self, values: Array, site: Site, source: VectorSource) -> Tensor:
        # In fp64, where no norm of fp32 values overflows.
        exact = values.astype(np.float64)
        if source.unit == "norm":
            exact = exact / np.linalg.norm(exact) * self._base.norms[site.depth]
        return torch.tensor(exact, dtype=torch.float32)

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
                f"the two sides do not differ at {extract.site}: there is no direction to extract"
            )
        with self._base.artefacts.unchanged():
            key = extract_key(extract, self._base.artefacts)
        self._store.put(key, values)
        return values

    def _mean_residuals(self, condition: Condition, position: Position, site: Site) -> Array:
        texts = (Reply(condition, probe, Decoding()) if position.spoken else None for probe in CALIBRATION)
        readings = [
            # Whether it reasons is the base's own: what it says is read as a whole.
            Reading(condition, probe, position, text, site, part=Part.BOTH)
            for probe, text in zip(CALIBRATION, texts, strict=True)
        ]
        outcomes: dict[Measurement, Outcome] = {}
        for wave in waves([*Plan(readings)]):
            (job,) = jobs(wave, outcomes)
            outcomes |= self._base.measured(job, self._builder)
        collected = [_sound(outcomes[reading]) for reading in readings]
        return np.asarray(np.mean(collected, axis=0, dtype=np.float64), dtype=np.float32)


def _same_way(first: Tensor, other: Tensor) -> bool:
    cosine = torch.nn.functional.cosine_similarity(first.double(), other.double(), dim=0)
    return bool(cosine > 1 - _ROUNDING)


def _unsteered(name: str, _at: Site | None) -> Unit:
    raise MeasurementError(f"a vector is extracted under no other; found {name!r}")


def _sound(outcome: Outcome) -> Array:
    if isinstance(outcome, CoherenceError):
        raise outcome
    assert isinstance(outcome, np.ndarray)
    return outcome
