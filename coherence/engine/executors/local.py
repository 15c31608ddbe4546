"""The local executor: jobs one after the other, in this process."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import EVERYTHING, Warn
from coherence.engine.model.malloc import kept_heap
from coherence.engine.requests.job import Job
from coherence.plan import Measurement, Outcome
from coherence.store import Store


class LocalExecutor:
    """Runs jobs one after the other in this process."""

    name = "local"
    capabilities = EVERYTHING
    workers = 1

    def __init__(self, artefacts: Artefacts, store: Store, warn: Warn) -> None:
        self._made_for = artefacts, store, warn

    def __enter__(self) -> Self:
        # Imported here because torch takes seconds, and a run whose measurements are all stored needs none.
        from coherence.engine.executors.measurer import Measurer

        self._held = ExitStack()
        self._held.enter_context(kept_heap())
        self._measurer = Measurer(*self._made_for)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._measurer
        self._held.close()

    def load(self) -> bool:
        """Load the model."""
        self._measurer.load()
        return True

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield the outcome of every measurement of the jobs."""
        for job in jobs:
            yield from self._measurer.measure(job)
