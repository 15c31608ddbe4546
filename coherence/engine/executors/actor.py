"""The actor: a measurer in a process of its own, on some machine of a cluster."""

import os
from collections.abc import Mapping
from functools import cached_property

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.requests.job import Job
from coherence.plan import Measurement, Outcome
from coherence.store import Store

Measured = tuple[list[tuple[Measurement, Outcome]], list[str]]
"""Outcomes of a job, and what a user should know about the machine."""


class Actor:
    """Measures jobs on at most so many threads, with the model loaded once, at the first of them."""

    def __init__(
        self, artefacts: Artefacts, store: Store, threads: int, environment: Mapping[str, str]
    ) -> None:
        os.environ.update(environment)
        self._artefacts = artefacts
        self._store = store
        self._threads = threads
        self._warnings: list[str] = []

    def measure(self, job: Job) -> Measured:
        """Measure a job; return every outcome, with the warnings since the last job."""
        outcomes = list(self._executor.run([job]))
        sentences = self._warnings.copy()
        self._warnings.clear()
        return outcomes, sentences

    @cached_property
    def _executor(self) -> LocalExecutor:
        # Imported here because torch reads the environment when it is imported.
        import torch

        torch.set_num_threads(min(self._threads, torch.get_num_threads()))
        return LocalExecutor(self._artefacts, self._store, self._warnings.append).__enter__()
