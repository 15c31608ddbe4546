"""What searches of claims have measured."""

from collections.abc import Iterator

import pytest

from coherence.engine.requests.job import Job
from coherence.engine.running.runner import Runner
from coherence.plan import Measurement, Outcome


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """Return a list of all that runners measure from here on."""
    kept: list[Measurement] = []
    measured = Runner.measured

    def counted(self: Runner, job: Job) -> Iterator[tuple[Measurement, Outcome]]:
        kept.extend(job.measurements)
        return measured(self, job)

    monkeypatch.setattr(Runner, "measured", counted)
    return kept
