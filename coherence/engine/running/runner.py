"""The runner: rows of measurements, run on a loaded model."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import norms_key
from coherence.engine.batch.budget import Budget, Found
from coherence.engine.batch.rows import Row
from coherence.engine.model.forward import run, token_norms
from coherence.engine.model.host import Host
from coherence.engine.requests.job import Job
from coherence.engine.requests.prompts import PromptRows
from coherence.engine.requests.row_builder import RowBuilder
from coherence.engine.requests.teacher_forcing import teacher_forced
from coherence.engine.running.units import Units
from coherence.plan import CALIBRATION, NEUTRAL, Condition, Extract, Measurement, Outcome, WeightError
from coherence.plan.record import Array
from coherence.store import Store


class Runner:
    """Runs what jobs want of rows. `warn` hears what a user should know about the machine."""

    def __init__(self, artefacts: Artefacts, store: Store, warn: Callable[[str], None]) -> None:
        self.artefacts = artefacts
        self.examples = store.examples
        self._store, self._warn = store, warn
        self._budget = Budget(warn)
        # Weak, so that the model goes with the runner and need not wait for the garbage collector.
        self._units = Units(weakref.proxy(self), store)
        self.builder = RowBuilder(artefacts, self._units)

    @cached_property
    def host(self) -> Host:
        """The base model; an ArtefactError names the suite's line when it cannot be loaded."""
        host = self.builder.host
        if host.slowly:
            self._warn(f"base {self.artefacts.release.base!r}: {host.slowly}")
        return host

    def measured(self, job: Job) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield what a job wants of rows; what cannot be measured is an error of its own."""
        prompts = PromptRows(self.builder, job)
        yield from prompts.problems.items()
        made = self._run(prompts.made) if prompts.made else ()
        for name, value in chain(made, teacher_forced(self.builder, job, self._run)):
            yield name, value.numpy() if isinstance(value, Tensor) else value

    def _run(self, rows: Sequence[Row]) -> Found:
        return run(self.host, rows, torch.tensor(self.norms), self._budget)

    def weight_errors(self, wanted: WeightError) -> Array:
        """Measure how far the change of weights is from the sum of the adapters' own, [modules]."""
        self.builder.mount(wanted.condition)
        found = self.host.weight_errors(wanted.condition.adapters, wanted.condition.way)
        return np.asarray(found.numpy())

    def extract(self, extract: Extract) -> Array:
        """Make a vector [width], as `Units.extract` does."""
        return self._units.extract(extract)

    @cached_property
    def norms(self) -> Array:
        """Median norms of residuals [blocks + 1], over tokens and then over the calibration questions."""
        key = norms_key(self.artefacts)
        stored = self._store.get(key)
        if isinstance(stored, np.ndarray):
            return stored
        rows = [self.builder.row(Condition(NEUTRAL), probe) for probe in CALIBRATION]
        norms = np.asarray(np.median(token_norms(self.host, rows, self._budget), axis=0), dtype=np.float32)
        self._store.put(key, norms)
        return norms
