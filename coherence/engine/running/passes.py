"""Passes: rows of jobs, run on the loaded base; what belongs to the base alone is measured here."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from coherence.engine.artefacts.keys import norms_key
from coherence.engine.batch.budget import Budget, Outcomes
from coherence.engine.batch.rows import Row
from coherence.engine.model.forward import run, token_norms
from coherence.engine.model.host import Host
from coherence.engine.requests.job import Job
from coherence.engine.requests.mounted import Mounted
from coherence.engine.requests.prompts import PromptRows
from coherence.engine.requests.row_builder import RowBuilder
from coherence.engine.requests.teacher_forcing import teacher_forced
from coherence.plan import CALIBRATION, Measurement, Outcome
from coherence.plan.record import Array
from coherence.store import Store


class Passes:
    """Runs rows on a base. `warn` hears what a user should know about the machine."""

    def __init__(self, mounted: Mounted, store: Store, warn: Callable[[str], None]) -> None:
        self.mounted = mounted
        self.artefacts = mounted.artefacts
        self._store, self._warn = store, warn
        self._budget = Budget(warn)

    @cached_property
    def host(self) -> Host:
        """The base model; an ArtefactError names the suite's line when it cannot be loaded."""
        host = self.mounted.host
        if host.slowly:
            self._warn(f"base {self.artefacts.release.base!r}: {host.slowly}")
        return host

    def measured(self, job: Job, builder: RowBuilder) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield what a job wants of rows that a builder makes; what cannot be measured is an error."""
        prompts = PromptRows(builder, job)
        yield from prompts.problems.items()
        made = self._run(prompts.made) if prompts.made else ()
        for name, value in chain(made, teacher_forced(builder, job, self._run)):
            yield name, value.numpy() if isinstance(value, Tensor) else value

    def _run(self, rows: Sequence[Row]) -> Outcomes:
        return run(self.host, rows, torch.tensor(self.norms), self._budget)

    @cached_property
    def norms(self) -> Array:
        """Median norms of residuals [blocks + 1], over tokens and then over the calibration questions."""
        stored = self._store.get(norms_key(self.artefacts))
        if isinstance(stored, np.ndarray):
            return stored
        base = f"base {self.artefacts.release.base!r}"
        rows = [
            Row(tuple(self.host.chat.calibrate(probe)), label=f"{probe.id}, {base}", group="norms")
            for probe in CALIBRATION
        ]
        norms = np.asarray(np.median(token_norms(self.host, rows, self._budget), axis=0), dtype=np.float32)
        with self.artefacts.unchanged():
            key = norms_key(self.artefacts)
        self._store.put(key, norms)
        return norms
