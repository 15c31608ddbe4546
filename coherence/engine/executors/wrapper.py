"""An executor around another: it measures what is outside of the other's model, and leaves the rest to it."""

from types import TracebackType
from typing import Self

from coherence.engine.executors.executor import Executor


class Wrapper:
    """Goes by the name of the executor within, and is entered and left with it.

    A subclass runs jobs, and says what it measures by itself.
    """

    outside: frozenset[type]
    """What the executor within cannot measure."""

    def __init__(self, executor: Executor) -> None:
        self._inner = executor

    @property
    def name(self) -> str:
        """That of the executor within."""
        return self._inner.name

    @property
    def capabilities(self) -> frozenset[type]:
        """What the executor within can measure, and what is outside of it."""
        return self._inner.capabilities | self.outside

    @property
    def workers(self) -> int:
        """Those of the executor within."""
        return self._inner.workers

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)
