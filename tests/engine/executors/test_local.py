import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.requests.job import Job
from coherence.plan import Condition, Reading
from coherence.store import Store
from coherence.vocabulary import Probe

BARE, ADAPTER = (Condition("Be brief.", adapters=adapters) for adapters in ((), (("pirate", 1.0),)))
PROBES = tuple(Probe(id=name, text=f"{name}?") for name in ("a", "b"))


@pytest.fixture
def executor(
    artefacts: Callable[..., Artefacts], tiny_adapter: Callable[..., Path], store: Store
) -> LocalExecutor:
    return LocalExecutor(artefacts(adapters={"pirate": tiny_adapter("pirate")}), store, pytest.fail)


def job_of(condition: Condition) -> Job:
    return Job(tuple(Reading(condition, probe) for probe in PROBES), {})


def test_outcomes_come_while_later_jobs_wait(executor: LocalExecutor) -> None:
    jobs = [job_of(BARE), job_of(ADAPTER)]
    with executor:
        running = executor.run(jobs)
        first = {next(running)[0] for _ in PROBES}
        assert first == set(jobs[0].measurements)
        assert {measurement for measurement, _ in running} == set(jobs[1].measurements)


def test_leaving_it_lets_the_model_go(executor: LocalExecutor) -> None:
    with executor:
        assert len(list(executor.run([job_of(BARE)]))) == len(PROBES)
        model = weakref.ref(executor._measurer._runner.host.model)
        assert model() is not None
    gc.collect()
    assert model() is None
