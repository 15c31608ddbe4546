"""The engine: measure a plan once, from the store where it can, from the model where it must."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from coherence.engine.artefacts import keys
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.executor import Executor, MakeExecutor
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import SILENT, Progress
from coherence.engine.executors.spending import Spending
from coherence.engine.requests.job import BUDGETED, MEASUREMENTS, jobs, waves
from coherence.errors import ArtefactError, CoherenceError, MeasurementError, in_a_sentence
from coherence.plan import (
    Divergence,
    LawSearch,
    Likelihood,
    Measurement,
    NextToken,
    Outcome,
    Plan,
    Reading,
    Reply,
    WeightError,
)
from coherence.store import Store

LOADING = "loading the model"
_NAMES = {
    Reply: "replies",
    Reading: "residuals",
    NextToken: "next tokens",
    Likelihood: "likelihoods",
    Divergence: "divergences",
    WeightError: "weights",
    LawSearch: "laws",
}


class Engine:
    """Measures plans for one release. The model is loaded only when the store lacks something."""

    def __init__(
        self,
        artefacts: Artefacts,
        store: Store,
        progress: Progress = SILENT,
        executor: MakeExecutor = LocalExecutor,
        spending: Spending | None = None,
    ) -> None:
        self._artefacts = artefacts
        self._store = store
        self._progress = progress
        self._executor = executor
        self._spending = spending or Spending()

    def measure(self, plan: Plan, portions: Sequence[Plan] = ()) -> dict[Measurement, Outcome]:
        """Value of every measurement, or the error that stood in its way, such as an UnmeasuredError.

        Portions are parts of the plan to be measured one after the other and not together, which takes longer
        and leaves fewer half done. One process measures at a time on one store; the others wait, and then
        find what it measured.
        """
        outcomes = self._looked_up(plan)
        if len(outcomes) < len(plan):
            with self._store.lock("measuring", self._progress.wait), self._store.bounded():
                outcomes |= self._stored(measurement for measurement in plan if measurement not in outcomes)
                missing = [measurement for measurement in plan if measurement not in outcomes]
                if missing:
                    outcomes |= self._measured(missing, outcomes, portions or [plan])
        if not self._spending.spent:
            return outcomes
        unmeasured = self._spending.unmeasured(len(outcomes), len(plan))
        return dict.fromkeys(plan, unmeasured) | outcomes

    def _looked_up(self, plan: Plan) -> dict[Measurement, Outcome]:
        borrowed = self._store.borrowed
        outcomes = self._stored(plan)
        for remark in self._store.remarks():
            self._progress.warn(remark)
        if self._store.borrowed > borrowed:
            with self._store.bounded():  # what was taken from another store has grown this one
                pass
        return outcomes

    def _stored(self, measurements: Iterable[Measurement]) -> dict[Measurement, Outcome]:
        outcomes: dict[Measurement, Outcome] = {}
        for measurement in measurements:
            try:
                value = self._store.get(keys.key_of(measurement, self._artefacts))
            except Exception as problem:
                outcomes[measurement] = in_a_sentence(problem)
                continue
            if value is not None:
                outcomes[measurement] = value
        return outcomes

    def _measured(
        self, missing: Sequence[Measurement], known: dict[Measurement, Outcome], portions: Sequence[Plan]
    ) -> dict[Measurement, Outcome]:
        executor = self._executor(self._artefacts, self._store, self._progress.warn)
        outcomes: dict[Measurement, Outcome] = _refused(missing, executor)
        left = [measurement for measurement in missing if measurement not in outcomes]
        if left and not self._spending.spent:
            counted = _Counted(left, self._progress)
            most = BUDGETED if self._spending.allowance.limited else MEASUREMENTS
            with executor:
                for wave in _waves(portions, left, outcomes):
                    cut = jobs(wave, known | outcomes, executor.workers, most)
                    begun = self._spending.affordable(cut)
                    for measurement, outcome in executor.run(begun):
                        if measurement not in outcomes:
                            outcomes[measurement] = self._kept(measurement, outcome)
                            counted.done(measurement)
                    if self._spending.spent:
                        break
        return outcomes

    def _kept(self, measurement: Measurement, outcome: Outcome) -> Outcome:
        if isinstance(outcome, CoherenceError):
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


def _refused(missing: Sequence[Measurement], executor: Executor) -> dict[Measurement, Outcome]:
    return {
        measurement: MeasurementError(
            f"the {executor.name} engine cannot measure {_NAMES[type(measurement)]}; "
            f"expected one that can, such as --coherence-engine {LocalExecutor.name}"
        )
        for measurement in missing
        if type(measurement) not in executor.capabilities
    }


class _Counted:
    """How far each kind of measurement is."""

    def __init__(self, missing: Sequence[Measurement], progress: Progress) -> None:
        self._progress = progress
        self._totals = Counter(_NAMES[type(measurement)] for measurement in missing)
        self._done: Counter[str] = Counter()
        self._progress(LOADING, 0, 1)

    def done(self, measurement: Measurement) -> None:
        """Count a measurement among those of its kind, and report how many there are by now."""
        if not self._done:
            self._progress(LOADING, 1, 1)
        kind = _NAMES[type(measurement)]
        self._done[kind] += 1
        self._progress(kind, self._done[kind], self._totals[kind])
