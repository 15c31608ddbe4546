"""The engine: measure a plan once, from the store where it can, from the model where it must."""

from collections.abc import Iterable, Sequence

from coherence.engine import keys
from coherence.engine.artefacts import Artefacts
from coherence.engine.progress import Progress, silent
from coherence.errors import CoherenceError
from coherence.plan import Measurement, Outcome, Plan
from coherence.store import Store


class Engine:
    """Measures plans for one release. The model is loaded only when the store lacks something."""

    def __init__(self, artefacts: Artefacts, store: Store, progress: Progress = silent) -> None:
        self._artefacts = artefacts
        self._store = store
        self._progress = progress

    def measure(self, plan: Plan) -> dict[Measurement, Outcome]:
        """Value of every measurement, or the error that stood in its way.

        One process measures at a time on one store; the others wait, and then find what it measured.
        """
        outcomes = self._stored(plan)
        if len(outcomes) < len(plan):
            with self._store.lock("measuring"):
                outcomes |= self._stored(measurement for measurement in plan if measurement not in outcomes)
                missing = [measurement for measurement in plan if measurement not in outcomes]
                if missing:
                    outcomes |= self._measured(missing, outcomes)
        return outcomes

    def _stored(self, measurements: Iterable[Measurement]) -> dict[Measurement, Outcome]:
        found: dict[Measurement, Outcome] = {}
        for measurement in measurements:
            try:
                value = self._store.get(keys.key_of(measurement, self._artefacts))
            except CoherenceError as problem:
                found[measurement] = problem
                continue
            if value is not None:
                found[measurement] = value
        return found

    def _measured(
        self, missing: Sequence[Measurement], known: dict[Measurement, Outcome]
    ) -> dict[Measurement, Outcome]:
        # Imported here because torch takes seconds, and a run whose measurements are all stored needs none.
        from coherence.engine.measurer import Measurer

        return Measurer(self._artefacts, self._store, self._progress).measure(missing, known)
