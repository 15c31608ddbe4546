"""The measurer: every measurement of a job with its outcome, on one loaded model."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.laws.search import search
from coherence.engine.requests.job import Job
from coherence.engine.requests.worded import Worded
from coherence.engine.running.runner import Runner
from coherence.errors import in_a_sentence
from coherence.plan import Alone, LawSearch, Measurement, Outcome
from coherence.store import Store


class Measurer:
    """Measures jobs with a runner of its own. `warn` hears what a user should know about the machine."""

    def __init__(self, artefacts: Artefacts, store: Store, warn: Callable[[str], None]) -> None:
        self._runner = Runner(artefacts, store, warn)

    def load(self) -> None:
        """Load the model. What stands in its way is met again at every job, whose outcomes say so."""
        with suppress(Exception):
            _ = self._runner.host

    def measure(self, job: Job) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield every measurement with its outcome; what cannot be measured is an error of its own."""
        try:
            _ = self._runner.host
            whole, named, problems = Worded.of(job)
            yield from problems.items()
            for measurement, outcome in self._runner.measured(whole):
                yield named[measurement], outcome
            for measurement in job.measurements:
                if isinstance(measurement, Alone):
                    yield measurement, self._alone(measurement, job.known)
        except Exception as problem:
            yield from dict.fromkeys(job.measurements, in_a_sentence(problem)).items()

    def _alone(self, measurement: Alone, known: Mapping[Measurement, Outcome]) -> Outcome:
        try:
            if isinstance(measurement, LawSearch):
                return search(self._runner, measurement, known)
            return self._runner.weight_errors(measurement)
        except Exception as problem:
            return in_a_sentence(problem)
