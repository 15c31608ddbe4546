"""How far a run is and how long the rest takes, by the arithmetic that was done in the time so far."""

import time
from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from coherence.plan.workload import Work

Floats = NDArray[np.float64]

# What comes within that time is of one batch, whose values come at once.
TOGETHER_S = 0.25

# How much of the arithmetic must be done before anything is said of the rest.
ENOUGH = 0.05


class _Batch(NamedTuple):
    """What was measured at once, how long that took, and whether it came first after the model was loaded."""

    work: Work
    seconds: float
    is_first: bool


class Pace:
    """Hears of work as it is done, and reckons how long the rest takes.

    Arithmetic of one kind takes about as long as it has taken so far. How long that is for each kind is
    fitted to the batches by least squares; a kind of which little was seen is drawn towards the mean of all.
    The first batch tells nothing: what belongs to the base is measured with it, and memory is taken.
    `clock` tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._last = clock()
        self._left, self._done = Work(), Work()
        self._batches: list[_Batch] = []
        self._is_waiting = True

    def expect(self, work: Work) -> None:
        """Hear of all that is left from now on."""
        self._left = work
        self.begin()

    def begin(self) -> None:
        """Hear that the first batch begins now; what was before, such as loading, does not count."""
        self._last = self._clock()
        self._is_waiting = True

    def made(self, work: Work) -> None:
        """Hear that so much was measured."""
        now = self._clock()
        took, self._last = now - self._last, now
        if took < TOGETHER_S and not self._is_waiting:
            last = self._batches[-1]
            self._batches[-1] = _Batch(last.work + work, last.seconds + took, last.is_first)
        else:
            self._batches.append(_Batch(work, took, self._is_waiting))
        self._is_waiting = False
        self._left, self._done = self._left - work, self._done + work

    @property
    def is_at_first(self) -> bool:
        """Whether the first batch is not there yet, of what was expected last."""
        return self._is_waiting and self.expects

    @property
    def expects(self) -> bool:
        """Whether anything was expected."""
        return self.measurements[1] > 0

    @property
    def measurements(self) -> tuple[int, int]:
        """How many are made, and of how many in all."""
        done = self._done.measurements
        return done, done + self._left.measurements

    @property
    def share(self) -> float:
        """How much of the arithmetic is done, from 0 to 1; of the measurements, where there is none."""
        done, left = self._done.flops, self._left.flops
        if done + left > 0:
            return done / (done + left)
        made, total = self.measurements
        return made / total if total else 0.0

    @property
    def took(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._began

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes, in seconds; None while too little is known.

        It counts down while a batch is run, and ever slower once that takes longer than was reckoned.
        """
        # A bar is drawn on a thread of its own.
        known = [batch for batch in self._batches.copy() if batch.work.flops and not batch.is_first]
        if not known or self.share < ENOUGH:
            return None
        left = float(_seconds_each(known) @ _kinds(self._left))
        overdue = self._clock() - self._last
        return left**2 / (left + overdue) if left > 0 else 0.0


def _seconds_each(batches: Sequence[_Batch]) -> Floats:
    """Seconds for an operation of each kind: ridge regression towards the mean of all, [kinds]."""
    work = np.array([_kinds(batch.work) for batch in batches])
    seconds = np.array([batch.seconds for batch in batches])
    mean = seconds.sum() / work.sum()
    # The mean has the weight of one batch.
    ridge = (work.sum() / len(batches)) ** 2 * np.eye(work.shape[1])
    each = np.linalg.solve(work.T @ work + ridge, work.T @ seconds + ridge.diagonal() * mean)
    return np.maximum(each, 0.0)


def _kinds(work: Work) -> Floats:
    return np.array([work.read, work.generated, work.searched])


def remaining(seconds: float | None) -> str:
    """Say how long the rest takes, as roughly as it is known."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 10:
        return "a few seconds left"
    if seconds < 90:
        return f"about {ceil(seconds / 10) * 10} s left"
    minutes = ceil(seconds / 60)
    return f"about {minutes} min left" if minutes < 90 else f"about {minutes / 60:.1f} h left"
