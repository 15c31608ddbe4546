"""What a run may spend: jobs begin while there is some of it left."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from conditions import ADAPTER, BARE, PROMPT
from hypothesis import given
from hypothesis import strategies as st

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import LOADING, Engine
from coherence.engine.executors.progress import SILENT, Silent
from coherence.engine.executors.spending import Spending
from coherence.engine.requests.job import BUDGETED, Job, jobs
from coherence.errors import UnmeasuredError
from coherence.plan import Condition, Measurement, Plan, Reading, Reply
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe
from coherence.vocabulary.allowance import UNLIMITED, Allowance

PROBES = tuple(Probe(id=f"q{index}", text=f"Question {index}?") for index in range(4))
SHORT = Decoding(max_new_tokens=3)
OVER = Allowance(seconds=0.0, written="0s")


def measurements(condition: Condition) -> list[Measurement]:
    """A reply to every probe, and what the model is like while it is said."""
    replies = [Reply(condition, probe, SHORT) for probe in PROBES]
    means = [Reading(reply.condition, reply.probe, Position.RESPONSE_MEAN, reply) for reply in replies]
    return [*replies, *means]


ALL = Plan(chain.from_iterable(map(measurements, (BARE, PROMPT, ADAPTER))))
PORTIONS = [Plan(measurements(condition)) for condition in (BARE, PROMPT, ADAPTER)]


class Log(list[str], Silent):
    """Hears what is being measured."""

    def __call__(self, what: str, done: int, total: int) -> None:
        self.append(what)

    def warn(self, sentence: str) -> None:
        pytest.fail(sentence)


@pytest.fixture
def release(artefacts: Callable[..., Artefacts], tiny_adapter: Callable[..., Path]) -> Artefacts:
    return artefacts(adapters={"pirate": tiny_adapter("pirate")})


def measured(
    release: Artefacts, store: Store, spending: Spending, portions: list[Plan] | None = None
) -> set[Measurement]:
    outcomes = Engine(release, store, spending=spending).measure(ALL, portions or ())
    assert outcomes.keys() == set(ALL)
    assert not [one for one in outcomes.values() if isinstance(one, Exception) and not is_unmeasured(one)]
    return {one for one, outcome in outcomes.items() if not is_unmeasured(outcome)}


def is_unmeasured(outcome: object) -> bool:
    return isinstance(outcome, UnmeasuredError)


@given(sizes=st.lists(st.integers(1, 5), max_size=6), calls=st.integers(1, 30))
def test_calls_are_counted_to_the_last_one(sizes: list[int], calls: int) -> None:
    readings = [Reading(BARE, Probe(id=str(number), text=f"{number}?")) for number in range(sum(sizes))]
    cut = iter(readings)
    waiting = [Job(tuple(next(cut) for _ in range(size)), {}) for size in sizes]
    spending = Spending(Allowance(calls=calls))
    begun = [one for job in spending.affordable(waiting) for one in job.measurements]
    assert begun == readings[:calls]
    assert spending.spent == (len(readings) >= calls)


def test_without_an_end_every_job_is_begun_as_it_is() -> None:
    spending, waiting = Spending(), jobs(ALL, {}, 2)
    assert list(spending.affordable(waiting)) == waiting
    assert not spending.spent


def test_a_job_is_asked_for_only_while_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    spending = Spending(Allowance(seconds=10))
    begun = []
    for job in spending.affordable(jobs(ALL, {}, 8)):
        begun.append(job)
        now += 6
    assert len(begun) == 2 < len(jobs(ALL, {}, 8))
    assert spending.spent


def test_what_is_spent_before_the_model_is_loaded_loads_none(release: Artefacts, store: Store) -> None:
    log = Log()
    outcomes = Engine(release, store, log, spending=Spending(OVER)).measure(ALL)
    assert log == []
    assert all(map(is_unmeasured, outcomes.values()))
    assert str(next(iter(outcomes.values()))) == ("the budget of 0s is spent; run again to go on from there")


@pytest.mark.parametrize("portions", [[], PORTIONS])
def test_the_next_run_goes_on_where_the_last_one_ended(
    release: Artefacts, store: Store, portions: list[Plan]
) -> None:
    found: set[Measurement] = set()
    for run in range(1, 6):
        now = measured(release, store, Spending(Allowance(calls=5)), portions)
        assert now > found
        assert len(now) == min(5 * run, len(ALL))
        found = now
    assert found == set(ALL)


def test_portions_leave_whole_ones_behind(release: Artefacts, store: Store) -> None:
    found = measured(release, store, Spending(Allowance(calls=len(PORTIONS[0]))), PORTIONS)
    assert found == set(PORTIONS[0])


def test_several_engines_spend_of_the_same(release: Artefacts, store: Store, tmp_path: Path) -> None:
    spending = Spending(Allowance(calls=len(ALL) + 2))
    assert measured(release, store, spending) == set(ALL)
    assert len(measured(release, Store(tmp_path / "other"), spending)) == 2


def test_what_is_stored_costs_nothing(release: Artefacts, store: Store) -> None:
    whole = Engine(release, store).measure(ALL)
    found = Engine(release, store, SILENT, spending=Spending(OVER)).measure(ALL)
    assert found.keys() == whole.keys()
    assert not any(map(is_unmeasured, found.values()))
    assert UNLIMITED.written not in str(found)


def test_loading_counts_and_yet_a_run_gets_on(
    release: Artefacts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a model that takes all of the time to load, repeated runs come to an end."""
    now = 0.0
    monkeypatch.setattr("coherence.engine.executors.spending.time.monotonic", lambda: now)

    class Slow(Log):
        def __call__(self, what: str, done: int, total: int) -> None:
            nonlocal now
            now += 100 if what == LOADING else 0

    spending = Spending(Allowance(seconds=10, written="10s"))
    outcomes = Engine(release, store, Slow(), spending=spending).measure(ALL, PORTIONS)
    assert {one for one in outcomes if not is_unmeasured(outcomes[one])} == set(PORTIONS[0])


def test_under_a_budget_jobs_are_about_a_batch() -> None:
    probes = [Probe(id=f"p{index}", text=f"{index}?") for index in range(BUDGETED // 2)]
    readings = [Reading(condition, probe) for condition in (BARE, PROMPT, ADAPTER) for probe in probes]
    assert [len(job.measurements) for job in jobs(readings, {}, most=BUDGETED)] == [BUDGETED, BUDGETED // 2]
    assert len(jobs(readings, {})) == 1
