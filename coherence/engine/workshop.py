"""The workshop: a loaded host and everything that turns measurements into rows of a forward pass."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from coherence.engine.artefacts import Artefacts
from coherence.engine.budget import Budget, Found
from coherence.engine.chat import encode
from coherence.engine.forward import run, token_norms
from coherence.engine.host import Host
from coherence.engine.job import Job, jobs, waves
from coherence.engine.keys import extract_key, norms_key
from coherence.engine.orthonormal import orthonormal
from coherence.engine.rows import Row
from coherence.engine.scored import scored
from coherence.engine.vectors import load_vector
from coherence.engine.wanted import Rows
from coherence.errors import ArtefactError, CoherenceError
from coherence.plan import (
    CALIBRATION,
    NEUTRAL,
    Condition,
    Extract,
    Measurement,
    Outcome,
    Plan,
    Reading,
    Reply,
    Steer,
    Way,
    WeightError,
)
from coherence.plan.record import Array
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Site


class Workshop:
    """Loads what is needed when it is needed: base, adapters, vectors, token norms."""

    def __init__(self, artefacts: Artefacts, store: Store, warn: Callable[[str], None]) -> None:
        self.artefacts = artefacts
        self._store = store
        self.examples = store.examples
        self._budget = Budget(warn)
        self._mounted: dict[str, CoherenceError | None] = {}
        self._units: dict[str, tuple[int, Tensor] | CoherenceError] = {}

    @cached_property
    def host(self) -> Host:
        """The base model; an ArtefactError names the suite's line when it cannot be loaded."""
        with self.artefacts.blaming("base"):
            return Host.load(self.artefacts.base, self.artefacts.release.dtype)

    def measured(self, job: Job) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield what a job wants of rows; what cannot be measured is an error of its own."""
        rows = Rows(self, job)
        yield from rows.problems.items()
        made = self._run(rows.made) if rows.made else ()
        for name, value in chain(made, scored(self, job, self._run)):
            yield name, value.numpy() if isinstance(value, Tensor) else value

    def _run(self, rows: Sequence[Row]) -> Found:
        return run(self.host, rows, torch.tensor(self._norms), self._budget)

    def row(self, condition: Condition, probe: Probe, response: Sequence[int] = ()) -> Row:
        """Make the row of a probe under a condition, its artefacts mounted, followed by response tokens."""
        self.mount(condition)
        release = self.artefacts.release
        prompt = self.prompt(condition, probe)
        adapters, way = self.host.fit(condition.adapters, condition.way)
        by_row = self.host.by_row(adapters, way)
        return Row(
            ids=(*prompt, *response),
            adapters=adapters if by_row else (),
            switched=() if by_row else adapters,
            way=way,
            deltas=self.deltas(condition),
            label=", ".join(
                [f"probe {probe.id!r}", f"base {release.base!r} in {release.dtype}", *_names(condition)]
            ),
            group=condition,
        )

    def prompt(self, condition: Condition, probe: Probe) -> list[int]:
        """Token ids of a prompt."""
        with self.artefacts.blaming("base"):
            return encode(self.host.tokenizer, condition, probe)

    def weight_errors(self, wanted: WeightError) -> Array:
        """Measure how far the change of weights is from the sum of the adapters' own, [modules]."""
        self.mount(wanted.condition)
        found = self.host.weight_errors(wanted.condition.adapters, wanted.condition.way)
        return np.asarray(found.numpy())

    def deltas(self, condition: Condition) -> dict[int, Tensor]:
        """Map depths to what steering adds there, [width]: dose * median |h|, along the vector."""
        deltas: dict[int, Tensor] = {}
        for steer in condition.steers:
            depth, unit = self._apart(steer) if steer.among else self._unit(steer.vector)
            delta = steer.dose * (unit if steer.drawn is None else _like(unit, steer.drawn))
            deltas[depth] = deltas[depth] + delta if depth in deltas else delta
        return deltas

    def _apart(self, steer: Steer) -> tuple[int, Tensor]:
        """Give a vector's part of the orthonormalisation of several, as long as it was: depth, [width]."""
        found = [self._unit(name) for name in steer.among]
        own = steer.among.index(steer.vector)
        with self.artefacts.blaming("vectors", steer.vector):
            return found[own][0], _orthonormalised(found, own)

    def _unit(self, name: str) -> tuple[int, Tensor]:
        if name not in self._units:
            try:
                with self.artefacts.blaming("vectors", name):
                    self._units[name] = self._made_unit(name)
            except CoherenceError as problem:
                self._units[name] = problem
        found = self._units[name]
        if isinstance(found, CoherenceError):
            raise found
        return found

    def _made_unit(self, name: str) -> tuple[int, Tensor]:
        source = self.artefacts.release.vectors[name]
        if source.extract is not None:
            values, site = self.extract(self.artefacts.extracts[name]), source.extract.site
        else:
            vector = load_vector(source, self.host.width, len(self.host.blocks), name)
            values, site = vector.values, vector.site
        # In fp64, where no norm of fp32 values overflows.
        exact = values.astype(np.float64)
        unit = exact / np.linalg.norm(exact) * self._norms[site.depth]
        return site.depth, torch.tensor(unit, dtype=torch.float32)

    def extract(self, extract: Extract) -> Array:
        """Make a vector [width]: mean over the calibration questions of h(positive) - h(negative).

        An ArtefactError when the two sides do not differ there, or the site is not one of the base.
        """
        last = len(self.host.blocks) - 1
        if extract.site.block > last:
            raise ArtefactError(f"found the site {extract.site}, expected a block from 0 to {last}")
        key = extract_key(extract, self.artefacts)
        stored = self._store.get(key)
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
            outcomes |= self.measured(job)
        collected = [_sound(outcomes[reading]) for reading in readings]
        return np.asarray(np.mean(collected, axis=0, dtype=np.float64), dtype=np.float32)

    @cached_property
    def _norms(self) -> Array:
        key = norms_key(self.artefacts)
        stored = self._store.get(key)
        if isinstance(stored, np.ndarray):
            return stored
        rows = [self.row(Condition(NEUTRAL), probe) for probe in CALIBRATION]
        norms = np.asarray(np.median(token_norms(self.host, rows, self._budget), axis=0), dtype=np.float32)
        self._store.put(key, norms)
        return norms

    def mount(self, condition: Condition) -> None:
        """Mount the adapters of a condition beside those that are there; each is tried once."""
        for name, _ in condition.adapters:
            if name not in self._mounted:
                self._mounted[name] = self._mounting_problem(name)
            problem = self._mounted[name]
            if problem is not None:
                raise problem

    def _mounting_problem(self, name: str) -> CoherenceError | None:
        try:
            with self.artefacts.blaming("adapters", name):
                self.host.mount(name, self.artefacts.adapter(name))
        except CoherenceError as problem:
            return problem
        return None


def _orthonormalised(found: Sequence[tuple[int, Tensor]], own: int) -> Tensor:
    depths = sorted({depth for depth, _ in found})
    if len(depths) > 1:
        sites = ", ".join(str(Site.at_depth(depth)) for depth in depths)
        raise ArtefactError(f"found vectors at {sites}, expected all that are orthonormalised at one site")
    values = orthonormal(np.stack([unit.double().numpy() for _, unit in found]))
    if values is None:
        raise ArtefactError(
            f"it cannot be orthonormalised: one of the {len(found)} vectors is made of the others"
        )
    unit = found[own][1]
    return torch.tensor(float(unit.norm()) * values[own], dtype=unit.dtype)


def _like(unit: Tensor, seed: int) -> Tensor:
    """Draw a random direction of the same norm, uniformly."""
    drawn = np.random.default_rng(seed).standard_normal(len(unit))
    return torch.tensor(float(unit.norm()) * drawn / np.linalg.norm(drawn), dtype=unit.dtype)


def _names(condition: Condition) -> list[str]:
    adapters = [f"adapter {name!r}" for name, _ in condition.adapters]
    vectors = [
        f"vector {steer.vector!r}" if steer.drawn is None else f"a random vector like {steer.vector!r}"
        for steer in condition.steers
    ]
    way = [str(condition.way)] if condition.way is not Way.STACKED else []
    return [*adapters, *way, *vectors]


def _sound(outcome: Outcome) -> Array:
    if isinstance(outcome, CoherenceError):
        raise outcome
    assert isinstance(outcome, np.ndarray)
    return outcome
