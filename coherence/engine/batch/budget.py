"""How much is run at once: a budget of tokens that halves when memory runs out."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import torch

from coherence.engine.batch.rows import Row, fit_together, in_order, size
from coherence.errors import CoherenceError, MeasurementError, in_a_sentence

# What was wanted of rows, by its name, with its value or a CoherenceError.
Outcomes = Iterable[tuple[Any, Any]]

# How a lack of memory is told where torch has no error of its own for it: the CPU's allocator, a CUDA call
# that is not its own allocator's, cuBLAS, and Apple's GPUs.
_SHORTAGES = (
    "allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
)

# What a forward pass of a small model takes before it gets no faster.
TOKENS = 2560
ROWS = 96
# How many times as much it takes of conversations: their many steps cost the less the more rows share them.
TALKS = 3


class Budget:
    """Tokens that a batch's caches may hold. `warn` hears when memory ran out and the budget was halved."""

    def __init__(self, warn: Callable[[str], None], tokens: int = TOKENS) -> None:
        self.tokens = tokens
        self._warn = warn

    def spend(self, rows: Iterable[Row], run: Callable[[list[Row]], Outcomes]) -> Outcomes:
        """Run rows in batches; yield what is wanted of them, by name.

        A row with more continuations than the budget holds is run as several.

        A batch that memory does not hold is run again in smaller ones; what is wanted of a single row that
        memory does not hold is a MeasurementError. What raises anything else is run again group by group;
        what is wanted of a group that still does has that for its error.
        """
        waiting = deque(in_order(part for row in rows for part in row.within(self._tokens(row))))
        while waiting:
            batch = self._take(waiting)
            try:
                results = list(run(batch))
            except Exception as problem:
                apart = _by_group(batch)
                if out_of_memory(problem):
                    results = list(self._split(batch, waiting))
                elif len(apart) > 1:
                    results = [one for rows in apart for one in self.spend(rows, run)]
                else:
                    results = list(_failed(batch, problem))
            yield from results

    def _take(self, waiting: deque[Row]) -> list[Row]:
        batch: list[Row] = []
        tokens = self._tokens(waiting[0])
        while waiting and fit_together(batch, waiting[0], tokens, ROWS):
            batch.append(waiting.popleft())
        return batch

    def _tokens(self, row: Row) -> int:
        return self.tokens * (TALKS if row.takes_turns else 1)

    def _split(self, batch: list[Row], waiting: deque[Row]) -> Outcomes:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        longest = max(row.longest for row in batch)
        half = size(batch) // 2
        parts = [part for row in batch for part in row.within(half)]
        if len(parts) == 1:
            problem = MeasurementError(f"out of memory with {longest} tokens alone, for {batch[0].label}")
            return [(name, problem) for name in batch[0].outputs]
        self.tokens = half
        self._warn(f"out of memory with {len(batch)} rows of up to {longest} tokens; going on with half")
        waiting.extendleft(reversed(parts))
        return []


def _by_group(batch: Iterable[Row]) -> list[list[Row]]:
    groups: dict[Hashable, list[Row]] = {}
    for row in batch:
        groups.setdefault(row.group, []).append(row)
    return list(groups.values())


def _failed(batch: Iterable[Row], problem: Exception) -> Outcomes:
    for row in batch:
        error = in_a_sentence(problem)
        if not isinstance(problem, CoherenceError):
            error = type(error)(f"{error.sentence}; for {row.label}")
            error.__cause__ = problem
        yield from dict.fromkeys(row.outputs, error).items()


def out_of_memory(problem: BaseException) -> bool:
    """Tell whether that is what a problem says, whoever says it."""
    return isinstance(problem, MemoryError | torch.OutOfMemoryError) or any(
        shortage in str(problem) for shortage in _SHORTAGES
    )
