"""Executors: who runs jobs. All give the same numbers; they differ in where, and in how many at once."""

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from coherence.engine.artefacts import Artefacts
from coherence.engine.job import Job
from coherence.plan import Measurement, Outcome
from coherence.store import Store

Warn = Callable[[str], None]


class Executor(Protocol):
    """Runs jobs with the model loaded once; leaving it lets the model go."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield the outcome of every measurement of the jobs, in any order, as soon as it is there."""
        ...


MakeExecutor: TypeAlias = Callable[[Artefacts, Store, Warn], Executor]
"""Makes an executor for a release, a store for vectors and token norms, and an ear for warnings."""


class LocalExecutor:
    """Runs jobs one after the other in this process."""

    def __init__(self, artefacts: Artefacts, store: Store, warn: Warn) -> None:
        # Imported here because torch takes seconds, and a run whose measurements are all stored needs none.
        from coherence.engine.measurer import Measurer

        self._measurer = Measurer(artefacts, store, warn)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._measurer

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield the outcome of every measurement of the jobs."""
        for job in jobs:
            yield from self._measurer.measure(job)
