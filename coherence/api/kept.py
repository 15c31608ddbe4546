"""An executor that stays: the model is loaded once for all that is asked, and not once for each."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import Executor, MakeExecutor, Warn
from coherence.engine.requests.job import Job
from coherence.plan import Measurement, Outcome
from coherence.store import Store


class Kept:
    """Makes an executor as `make` does, but only one: it is for one release. `close` lets the model go."""

    def __init__(self, make: MakeExecutor) -> None:
        self._make = make
        self._made: _Staying | None = None

    def __call__(self, artefacts: Artefacts, store: Store, warn: Warn) -> Executor:
        """Return the executor, made when it is first asked for."""
        self._made = self._made or _Staying(self._make(artefacts, store, warn))
        return self._made

    def close(self) -> None:
        """Let the model go; it is loaded again when it is needed again."""
        if self._made:
            self._made.leave()


class _Staying:
    """Is entered once and left when it is told to, or when something went wrong inside."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._held = ExitStack()
        self._entered = False
        self.name = executor.name
        self.capabilities = executor.capabilities

    @property
    def workers(self) -> int:
        return self._executor.workers

    def __enter__(self) -> Self:
        if not self._entered:
            self._held.enter_context(self._executor)
            self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.leave()

    def leave(self) -> None:
        self._entered = False
        self._held.close()

    def load(self) -> bool:
        return self._executor.load()

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        return self._executor.run(jobs)
