"""Executors: who runs jobs. All give the same numbers; they differ in where, and in how many at once."""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Protocol, Self, TypeAlias, get_args

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.requests.job import Job
from coherence.plan import Measurement, Others, Outcome, Outside
from coherence.store import Store

Warn = Callable[[str], None]

EVERYTHING: frozenset[type] = frozenset(get_args(Measurement)) - {*get_args(Outside), *get_args(Others)}
"""What the base is run for."""


class Executor(Protocol):
    """Runs jobs with the model loaded once. Making one loads nothing; leaving it lets the model go."""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        ...

    @property
    def capabilities(self) -> frozenset[type]:
        """The kinds of measurement that it can make."""
        ...

    @property
    def workers(self) -> int:
        """How many jobs are run at once, known when it has been entered."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def load(self) -> bool:
        """Load the model ahead of the first job; False where each worker does that at its first job.

        What stands in its way is told by the outcomes of the jobs.
        """
        ...

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield the outcome of every measurement of the jobs, in any order, as soon as it is there.

        A job is asked for when there is who can begin it, as it may depend on the time whether there is one.
        """
        ...


MakeExecutor: TypeAlias = Callable[[Artefacts, Store, Warn], Executor]
"""Makes an executor for a release, a store for vectors and token norms, and an ear for warnings."""
