"""The engine: measure a plan once, from the store where it can, from the model where it must."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from coherence.engine.artefacts import keys
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.beside_models import BesideModels
from coherence.engine.executors.beside_server import BesideServer
from coherence.engine.executors.executor import Executor, MakeExecutor
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import SILENT, Progress
from coherence.engine.executors.spending import Spending
from coherence.engine.requests.job import BUDGETED, MEASUREMENTS, jobs, rounds, waves
from coherence.errors import ArtefactError, CoherenceError, MeasurementError, in_a_sentence
from coherence.plan import (
    AdapterNumbers,
    Divergence,
    LawSearch,
    Likelihood,
    Measurement,
    NextToken,
    Others,
    Outcome,
    Plan,
    PromptIds,
    Rating,
    Reading,
    Refusal,
    Reply,
    Served,
    UserTurn,
    WeightError,
)
from coherence.plan.measurement import is_heard
from coherence.plan.workload import Work
from coherence.store import Store

if TYPE_CHECKING:
    from coherence.engine.requests.arithmetic import Arithmetic

Hear: TypeAlias = Callable[[Measurement, Outcome], None]
"""Hears the outcome of a measurement as soon as it is there."""

Later: TypeAlias = Callable[[], Work]
"""Counts what others measure after a plan, when that is of interest."""

COUNTING = "counting the work"
LOADING = "loading the model"
_NAMES = {
    Reply: "replies",
    Reading: "residuals",
    NextToken: "next tokens",
    Likelihood: "likelihoods",
    Divergence: "divergences",
    WeightError: "weights",
    LawSearch: "laws",
    PromptIds: "prompts",
    AdapterNumbers: "adapters' numbers",
    Refusal: "refusals",
    Served: "answers of the server",
    Rating: "ratings",
    UserTurn: "turns of users",
}


def _unheard(measurement: Measurement, outcome: Outcome) -> None:
    """Let an outcome pass where nobody waits for it."""


class Engine:
    """Measures plans for one release. The model is loaded only when the store lacks something.

    As a context manager it measures several plans, one after the other: the model stays loaded from the first
    to the last that lacks something, and other processes wait until all of them are measured.
    """

    def __init__(
        self,
        artefacts: Artefacts,
        store: Store,
        progress: Progress = SILENT,
        executor: MakeExecutor = LocalExecutor,
        spending: Spending | None = None,
        is_fresh: bool = False,
    ) -> None:
        """With `is_fresh` nothing that a server answered before this run is taken for what it answers now."""
        self._is_fresh = is_fresh
        self._artefacts = artefacts
        self._store = store
        self._progress = progress
        self._executor = executor
        self._spending = spending or Spending()
        self._outcomes: dict[Measurement, Outcome] = {}
        self._work: dict[Measurement, Work] = {}
        self._held: _Held | None = None
        self.is_measuring = False
        """Whether it had anything to measure so far, and did not find all of it."""

    def __enter__(self) -> Self:
        self._held = _Held()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        assert held is not None
        held.__exit__(kind, error, trace)

    def missing(self, plan: Plan) -> list[Measurement]:
        """Look up a plan, which is then known when it is measured; return what is not stored."""
        stored = self._looked_up(plan)
        return [measurement for measurement in plan if measurement not in stored]

    def left(self, plan: Plan) -> Work:
        """Count what is not stored of a plan.

        Arithmetic is 0 where it cannot be counted: what stands in the way is an error when it is measured.
        """
        return self._count(self.missing(plan))

    def measure(
        self, plan: Plan, portions: Sequence[Plan] = (), hear: Hear | None = None, later: Later = Work
    ) -> dict[Measurement, Outcome]:
        """Value of every measurement, or the error that stood in its way, such as an UnmeasuredError.

        Portions are parts of the plan that should come to their end one after the other: see `rounds`. Under
        a budget nothing of one is measured before those before it, which takes longer and leaves fewer half
        done. `hear` is told all outcomes as they come, those of the store first. Progress expects `later`
        after them, which others measure. One process measures at a time on one store; the others wait, find
        what it measured, and `hear` nothing that was told there.
        """
        hear = _unheard if hear is None else hear
        outcomes = self._looked_up(plan)
        if len(outcomes) == len(plan):
            _tell(hear, outcomes)
        else:
            with self._holding() as held:
                self._lock(held)
                outcomes |= self._stored(measurement for measurement in plan if measurement not in outcomes)
                missing = [measurement for measurement in plan if measurement not in outcomes]
                if missing:
                    self.is_measuring = True
                    _tell(hear, outcomes)
                    outcomes |= self._measured(missing, outcomes, portions or [plan], held, hear, later)
        if not self._spending.spent:
            return outcomes
        return dict.fromkeys(plan, self._spending.unmeasured()) | outcomes

    def _holding(self) -> "AbstractContextManager[_Held]":
        return _Held() if self._held is None else nullcontext(self._held)

    def _lock(self, held: "_Held") -> None:
        """Let no other process measure until all is let go of; what it measured before is stored by then."""
        if not held.is_locked:
            held.enter_context(self._store.lock("measuring", self._progress.wait))
            held.enter_context(self._store.bounded())
            held.is_locked = True

    @cached_property
    def _arithmetic(self) -> "Arithmetic":
        # Imported here because transformers takes seconds, and a run that finds everything stored needs none.
        from coherence.engine.requests.arithmetic import Arithmetic

        return Arithmetic(self._artefacts)

    def _expect(self, measurements: Sequence[Measurement], later: Later) -> None:
        """Tell progress how much there is to be measured, unless it does not show that."""
        if self._progress.counts:
            self._progress(COUNTING, 0, 1)
            work = self._count(measurements) + later()
            self._progress(COUNTING, 1, 1)
            self._progress.expect(work)

    def _count(self, measurements: Sequence[Measurement]) -> Work:
        """Count the arithmetic of what can be laid out; the rest is not run."""
        # What another model does is none of the base's arithmetic, which takes its tokenizer to count.
        new = [one for one in measurements if one not in self._work and not isinstance(one, Others)]
        with suppress(CoherenceError):
            for measurement in new:
                arithmetic = self._arithmetic
                with suppress(CoherenceError):
                    self._work[measurement] = arithmetic.work(measurement)
        return self._sum(measurements)

    def _sum(self, measurements: Iterable[Measurement]) -> Work:
        return Work.sum(self._work.get(measurement, Work(1)) for measurement in measurements)

    def _looked_up(self, plan: Plan) -> dict[Measurement, Outcome]:
        borrowed = self._store.borrowed
        self._outcomes |= self._stored(
            measurement for measurement in plan if measurement not in self._outcomes
        )
        for remark in self._store.remarks():
            self._progress.warn(remark)
        if self._store.borrowed > borrowed:
            with self._store.bounded():  # what was taken from another store has grown this one
                pass
        return {
            measurement: self._outcomes[measurement] for measurement in plan if measurement in self._outcomes
        }

    def _stored(self, measurements: Iterable[Measurement]) -> dict[Measurement, Outcome]:
        outcomes: dict[Measurement, Outcome] = {}
        for measurement in measurements:
            if is_heard(measurement) or (self._is_fresh and isinstance(measurement, Served | Refusal)):
                continue
            try:
                value = self._store.get(keys.key_of(measurement, self._artefacts))
            except Exception as problem:
                outcomes[measurement] = in_a_sentence(problem)
                continue
            if value is not None:
                outcomes[measurement] = value
        return outcomes

    def _measured(
        self,
        missing: Sequence[Measurement],
        known: dict[Measurement, Outcome],
        portions: Sequence[Plan],
        held: "_Held",
        hear: Hear,
        later: Later,
    ) -> dict[Measurement, Outcome]:
        executor = held.executor or self._made()
        outcomes: dict[Measurement, Outcome] = _refused(missing, executor)
        _tell(hear, outcomes)
        left = [measurement for measurement in missing if measurement not in outcomes]
        if left and not self._spending.spent:
            self._expect(left, later)
            counted = held.counted = held.counted or _Counted(self._progress)
            counted.expect(left)
            most = BUDGETED if self._spending.allowance.limited else MEASUREMENTS
            held.run_by(executor)
            if not all(isinstance(one, Others) for one in left) and executor.load():
                counted.loaded()
            for wave in self._ordered(portions, left, outcomes, executor.workers):
                cut = jobs(wave, known | outcomes, executor.workers, most)
                begun = self._spending.affordable(cut)
                for measurement, outcome in executor.run(begun):
                    if measurement not in outcomes:
                        outcomes[measurement] = self._kept(measurement, outcome)
                        self._progress.made(self._sum([measurement]))
                        counted.done(measurement)
                        hear(measurement, outcomes[measurement])
                if self._spending.spent:
                    break
        return outcomes

    def _made(self) -> Executor:
        executor = self._executor(self._artefacts, self._store, self._progress.warn)
        if self._artefacts.release.served:
            executor = BesideServer(executor, self._artefacts)
        return BesideModels(executor, self._artefacts, self._store, self._progress.warn)

    def _ordered(
        self,
        portions: Sequence[Plan],
        left: Sequence[Measurement],
        outcomes: Mapping[Measurement, Outcome],
        workers: int,
    ) -> Iterator[list[Measurement]]:
        if self._spending.allowance.limited:
            return _waves(portions, left, outcomes)
        # At the end of a wave several workers wait for the last of them: there are as few as can be.
        return waves(left) if workers > 1 else rounds(left, portions)

    def _kept(self, measurement: Measurement, outcome: Outcome) -> Outcome:
        if isinstance(outcome, CoherenceError) or is_heard(measurement):
            return outcome
        try:
            with self._artefacts.unchanged():
                key = keys.key_of(measurement, self._artefacts)
        except ArtefactError as problem:
            return problem
        self._store.put(key, outcome)
        return outcome


def _waves(
    portions: Iterable[Plan], left: Iterable[Measurement], outcomes: Mapping[Measurement, Outcome]
) -> Iterator[list[Measurement]]:
    """Yield the waves of each portion, without what has an outcome by then."""
    missing = frozenset(left)
    for portion in portions:
        yield from waves([one for one in portion if one in missing and one not in outcomes])


def _tell(hear: Hear, outcomes: Mapping[Measurement, Outcome]) -> None:
    for measurement, outcome in outcomes.items():
        hear(measurement, outcome)


def _refused(missing: Sequence[Measurement], executor: Executor) -> dict[Measurement, Outcome]:
    return {
        measurement: MeasurementError(
            f"the {executor.name} engine cannot measure {_NAMES[type(measurement)]}; "
            f"expected one that can, such as --coherence-engine {LocalExecutor.name}"
        )
        for measurement in missing
        if type(measurement) not in executor.capabilities
    }


class _Held(ExitStack):
    """What is let go of when all is measured: the store's lock, and an executor with its model."""

    def __init__(self) -> None:
        super().__init__()
        self.is_locked = False
        self.executor: Executor | None = None
        self.counted: _Counted | None = None

    def run_by(self, executor: Executor) -> None:
        """Enter an executor, unless it is the one that runs jobs already."""
        if self.executor is None:
            self.enter_context(executor)
            self.executor = executor


class _Counted:
    """How far each kind of measurement is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._totals: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._is_loaded = False
        self._progress(LOADING, 0, 1)

    def expect(self, missing: Iterable[Measurement]) -> None:
        """Count what is to be measured beside all before."""
        self._totals.update(_NAMES[type(measurement)] for measurement in missing)

    def loaded(self) -> None:
        """Report that the model is loaded, unless that is known."""
        if not self._is_loaded:
            self._is_loaded = True
            self._progress(LOADING, 1, 1)

    def done(self, measurement: Measurement) -> None:
        """Count a measurement among those of its kind, and report how many there are by now."""
        self.loaded()
        kind = _NAMES[type(measurement)]
        self._done[kind] += 1
        self._progress(kind, self._done[kind], self._totals[kind])
