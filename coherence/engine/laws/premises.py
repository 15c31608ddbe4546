"""What a claim rests on: measured before with everything else, or when an example asks for it."""

from collections.abc import Mapping, Sequence

from coherence.engine.requests.job import Job
from coherence.engine.running.runner import Runner
from coherence.plan import Measurement, Outcome, Record


class Premises:
    """Answers measurements by what is known of them, and measures the rest."""

    def __init__(self, runner: Runner, known: Mapping[Measurement, Outcome]) -> None:
        self._runner, self._known = runner, known

    def record(self, measurements: Sequence[Measurement]) -> Record:
        """Return a record that has all of them."""
        outcomes = {one: self._known[one] for one in measurements if one in self._known}
        if lacking := tuple(one for one in measurements if one not in outcomes):
            outcomes |= dict(self._runner.measured(Job(lacking, {})))
        return Record(outcomes)
