"""What measuring has taken so far, held against what a run may spend on it."""

import time
from collections.abc import Iterable, Iterator

from coherence.engine.requests.job import Job
from coherence.errors import UnmeasuredError
from coherence.vocabulary.allowance import UNLIMITED, Allowance


class Spending:
    """Counts calls, and the time since it was made. One may be shared by several engines.

    The first job of a wave is begun whatever the time is, so that every run gets on, however little it may
    spend; whoever has a model still to load asks `spent` before.
    """

    def __init__(self, allowance: Allowance = UNLIMITED) -> None:
        self.allowance = allowance
        self._started = time.monotonic()
        self._calls = 0

    @property
    def spent(self) -> bool:
        """Whether no further job may begin."""
        seconds = self.allowance.seconds
        late = seconds is not None and time.monotonic() - self._started >= seconds
        return late or self._calls_left == 0

    def affordable(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield jobs, the last one cut short, until all is spent. A job counts when it begins."""
        for job in jobs:
            begun = job.first(self._calls_left)
            self._calls += len(begun.measurements)
            yield begun
            if self.spent:
                return

    def unmeasured(self) -> UnmeasuredError:
        """Say why something is not measured."""
        return UnmeasuredError(f"the budget of {self.allowance} is spent; run again to go on from there")

    @property
    def _calls_left(self) -> int | None:
        calls = self.allowance.calls
        return None if calls is None else max(0, calls - self._calls)
