import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import NoReturn

import numpy as np
import pytest
from conditions import ADAPTER, BARE, BROKEN, NEUTRAL, PROMPT, STEERED

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import key_of
from coherence.engine.engine import COUNTING, LOADING, Engine
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import Silent
from coherence.engine.requests.job import Job
from coherence.engine.running.runner import Runner
from coherence.errors import ArtefactError, CoherenceError, MeasurementError, Place
from coherence.plan import (
    Answer,
    ClaimName,
    Condition,
    LawName,
    LawOutcome,
    LawSearch,
    Measurement,
    NextToken,
    Outcome,
    Plan,
    Reading,
    Record,
    Reply,
    Steer,
)
from coherence.plan.workload import Work
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Decoding, Position, Probe, Regime

PROBES = (Probe(id="order", text="Where is my order?"), Probe(id="app", text="The app keeps crashing."))
SHORT = Decoding(max_new_tokens=6)
Ship = Callable[..., Artefacts]


def measurements(*conditions: Condition) -> list[Measurement]:
    """Five for each condition."""
    found: list[Measurement] = []
    for condition in conditions:
        replies = [Reply(condition, probe, SHORT) for probe in PROBES]
        found += [Reading(condition, PROBES[0], Position.RESPONSE_MEAN, replies[0]), *replies]
        found += [Reading(condition, PROBES[0]), NextToken(condition, PROBES[1])]
    return found


@pytest.fixture
def release(
    artefacts: Ship, tiny_adapter: Callable[..., Path], tiny_vector: Callable[..., Path], tmp_path: Path
) -> Callable[[], Artefacts]:
    shipped = {
        "adapters": {"pirate": tiny_adapter("pirate"), "broken": tmp_path},
        "vectors": {"pirate": tiny_vector("pirate")},
        "places": {"release.adapters.broken": Place("suites/pirate.yaml", 7)},
    }
    (tmp_path / "adapter_config.json").write_text("{}")
    return lambda: artefacts(**shipped)


class Log(list[str], Silent):
    """Hears what is being measured."""

    def __call__(self, what: str, done: int, total: int) -> None:
        self.append(what)

    def warn(self, sentence: str) -> None:
        pytest.fail(sentence)

    @property
    def measured(self) -> int:
        return len([what for what in self if what != LOADING])


def same(one: Outcome, two: Outcome) -> bool:
    return np.array_equal(one, two) if isinstance(one, np.ndarray) else one == two


ALL = measurements(BARE, PROMPT, ADAPTER, STEERED)
LAW = LawSearch(LawName.BATCH_MATES, (BARE, ADAPTER), PROBES, 1e-4, 3, 0)


def test_every_measurement_has_a_value_of_its_kind(release: Callable[[], Artefacts], store: Store) -> None:
    outcomes = Engine(release(), store).measure(Plan([*ALL, LAW]))
    assert outcomes.keys() == {*ALL, LAW}
    kinds = {Reply: Answer, LawSearch: LawOutcome, Reading: np.ndarray, NextToken: np.ndarray}
    shapes = {Reading: (5, 32), NextToken: (320,)}
    for measurement, value in outcomes.items():
        assert isinstance(value, kinds[type(measurement)])
        assert not isinstance(value, np.ndarray) or value.shape == shapes[type(measurement)]
    for kind in (Reply, Reading, NextToken):
        values = [value for measurement, value in outcomes.items() if isinstance(measurement, kind)]
        assert not any(same(one, two) for index, one in enumerate(values) for two in values[:index])


def test_a_second_run_finds_what_the_first_measured(release: Callable[[], Artefacts], store: Store) -> None:
    first, log = Engine(release(), store).measure(Plan([*ALL, LAW])), Log()
    second = Engine(release(), store, log).measure(Plan([*ALL, LAW]))
    assert log == []
    assert all(same(second[measurement], value) for measurement, value in first.items())


class Counting(LocalExecutor):
    """Counts how often an executor is entered, and whether another process could measure meanwhile."""

    entered = 0

    def __enter__(self) -> "Counting":
        Counting.entered += 1
        super().__enter__()
        return self


def test_several_plans_are_measured_with_the_model_loaded_once(
    release: Callable[[], Artefacts], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "entered", 0)
    log, waited = Log(), []
    apart = Engine(release(), Store(store.root / "other")).measure(Plan(ALL))
    with Engine(release(), store, log, Counting) as engine:
        # Nothing is locked before something is to be measured.
        with store.lock("measuring", waited.append):
            pass
        outcomes = (
            engine.measure(Plan(ALL[:3])) | engine.measure(Plan([*ALL[:5], LAW])) | engine.measure(Plan(ALL))
        )
        assert Counting.entered == 1
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(lambda: Engine(release(), store).measure(Plan([NextToken(BARE, PROBES[0])])))
            with pytest.raises(TimeoutError):
                other.result(0.5)  # it waits until all plans are measured
            engine.__exit__(None, None, None)
            assert other.result(60)
            engine.__enter__()
    assert log.count(LOADING) == 2  # begun and done
    assert log.measured == len({*ALL, LAW})
    # Batches of other rows round otherwise.
    assert all(
        np.allclose(outcomes[one], value, atol=1e-4)
        if isinstance(value, np.ndarray)
        else outcomes[one] == value
        for one, value in apart.items()
    )


def test_a_second_run_needs_neither_torch_nor_transformers(
    release: Callable[[], Artefacts], store: Store, tmp_path: Path
) -> None:
    plan, artefacts = Plan([*ALL, LAW]), release()
    Engine(artefacts, store).measure(plan)
    (tmp_path / "run").write_bytes(pickle.dumps((artefacts.release, list(plan), store.root)))
    code = """
import pickle, sys
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import LOADING, Engine
from coherence.plan import Plan
from coherence.store import Store
release, plan, root = pickle.load(open(sys.argv[1], "rb"))
print(len(Engine(Artefacts(release, {}), Store(root)).measure(Plan(plan))), *sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, check=True
    )
    count, *modules = run.stdout.split()
    assert int(count) == len(plan)
    assert {"torch", "transformers", "peft", "hypothesis", "scipy"}.isdisjoint(modules)


def test_the_second_run_is_of_this_release_only(
    release: Callable[[], Artefacts], store: Store, tiny_adapter: Callable[..., Path]
) -> None:
    first = Engine(release(), store).measure(Plan(ALL))
    other = release()
    other.release.adapters["pirate"] = str(tiny_adapter("pirate", seed=9))
    log = Log()
    second = Engine(other, store, log).measure(Plan(ALL))
    assert log.measured == 5
    for measurement in ALL:
        assert isinstance(measurement, Reply | Reading | NextToken)
        assert same(first[measurement], second[measurement]) == (measurement.condition != ADAPTER)


def alike(one: Outcome, two: Outcome) -> bool:
    """Equal, up to the rounding of batches that were made up in another way."""
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return np.allclose(one, two, atol=1e-4)
    return one == two


class Interrupt(Log):
    """Presses Ctrl-C after so many measurements."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def __call__(self, what: str, done: int, total: int) -> None:
        super().__call__(what, done, total)
        if self.measured == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 7, 11])
def test_an_interrupted_run_goes_on_where_it_stopped(
    release: Callable[[], Artefacts], store: Store, after: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        Engine(release(), store, Interrupt(after)).measure(Plan(ALL))
    stored = [measurement for measurement in ALL if store.get(key_of(measurement, release())) is not None]
    rest = Log()
    outcomes = Engine(release(), store, rest).measure(Plan(ALL))
    assert len(stored) == after
    assert rest.measured == len(ALL) - after
    fresh = Engine(release(), Store(store.root / "other")).measure(Plan(ALL))
    assert all(alike(outcomes[measurement], value) for measurement, value in fresh.items())


def test_a_killed_run_goes_on_where_it_stopped(
    release: Callable[[], Artefacts], store: Store, tmp_path: Path
) -> None:
    after, artefacts = 7, release()
    (tmp_path / "run").write_bytes(pickle.dumps((artefacts.release, ALL, store.root)))
    code = f"""
import os, pickle, signal, sys
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine, LOADING
from coherence.engine.executors.progress import Silent
from coherence.plan import Plan
from coherence.store import Store

class Kill(Silent):
    heard = 0
    def __call__(self, what, done, total):
        self.heard += what != LOADING
        if self.heard == {after}:
            os.kill(os.getpid(), signal.SIGKILL)
    def warn(self, sentence):
        raise AssertionError(sentence)

release, plan, root = pickle.load(open(sys.argv[1], "rb"))
Engine(Artefacts(release, {{}}), Store(root), Kill()).measure(Plan(plan))
"""
    killed = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    rest = Log()
    outcomes = Engine(release(), store, rest).measure(Plan(ALL))
    assert rest.measured == len(ALL) - after
    fresh = Engine(release(), Store(store.root / "other")).measure(Plan(ALL))
    assert all(alike(outcomes[measurement], value) for measurement, value in fresh.items())


class Heard(list[tuple[str, int, int]], Silent):
    """Hears progress, and whether what is done is stored by then."""

    def __init__(self, store: Store, artefacts: Artefacts) -> None:
        super().__init__()
        self.stored = lambda: sum(store.get(key_of(found, artefacts)) is not None for found in [*ALL, LAW])

    def __call__(self, what: str, done: int, total: int) -> None:
        self.append((what, done, total))
        if what != LOADING:
            assert self.stored() == len([told for told in self if told[0] != LOADING])

    def warn(self, sentence: str) -> None:
        pytest.fail(sentence)


def test_progress_counts_every_kind_up_to_its_total(release: Callable[[], Artefacts], store: Store) -> None:
    heard = Heard(store, release())
    Engine(release(), store, heard).measure(Plan([*ALL, LAW]))
    assert heard[:2] == [(LOADING, 0, 1), (LOADING, 1, 1)]
    totals = {"replies": 8, "residuals": 8, "next tokens": 4, "laws": 1}
    for kind, total in totals.items():
        assert [told for told in heard if told[0] == kind] == [
            (kind, done, total) for done in range(1, total + 1)
        ]
    assert {what for what, _, _ in heard} == {LOADING, *totals}


class Told(Silent):
    """Hears what is said of loading and of arithmetic, in its order."""

    counts = True

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []
        self.expected: list[Work] = []
        self.done: list[Work] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.said.append((what, done))

    def expect(self, work: Work) -> None:
        self.expected.append(work)

    def made(self, work: Work) -> None:
        self.done.append(work)


@pytest.mark.parametrize("ahead", [True, False])
def test_loading_ends_before_the_first_batch_where_it_can_be_told(
    release: Callable[[], Artefacts], store: Store, ahead: bool
) -> None:
    told = Told()

    class Watched(LocalExecutor):
        def load(self) -> bool:
            told.said.append(("load", 0))
            return ahead and super().load()

        def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
            told.said.append(("run", 0))
            return super().run(jobs)

    Engine(release(), store, told, Watched).measure(Plan(ALL[:1]))
    end = [("run", 0), (LOADING, 1)]
    assert told.said[2:6] == [(LOADING, 0), ("load", 0), *(reversed(end) if ahead else end)]


def test_what_a_claim_rests_on_is_measured_once_with_everything_else(
    release: Callable[[], Artefacts], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Measurement] = []
    measured = Runner.measured

    def counted(self: Runner, job: Job) -> Iterator[tuple[Measurement, Outcome]]:
        asked.extend(job.measurements)
        return measured(self, job)

    monkeypatch.setattr(Runner, "measured", counted)
    claim = LawSearch(ClaimName.NEXT_TOKEN, (BARE, ADAPTER), PROBES, 1e9, 2, 0)
    outcomes = Engine(release(), store).measure(Plan([NextToken(BARE, PROBES[1]), claim]))
    assert isinstance(outcomes[claim], LawOutcome)
    assert {*claim.rests_on, claim} == set(outcomes)
    assert [asked.count(one) for one in claim.rests_on] == [1] * 4
    spoilt = replace(claim, conditions=(BARE, BROKEN))
    problem = Engine(release(), store).measure(Plan([spoilt]))[spoilt]
    assert isinstance(problem, CoherenceError)


def test_the_arithmetic_of_what_is_missing_is_expected_and_made(
    release: Callable[[], Artefacts], store: Store
) -> None:
    told, plan = Told(), Plan([*ALL, LAW])
    engine = Engine(release(), store, told)
    left = engine.left(plan)
    assert left.measurements == len(plan)
    assert min(left.read, left.generated, left.searched) > 0
    engine.measure(plan, later=lambda: Work(7, generated=1.0))
    assert told.said[:3] == [(COUNTING, 0), (COUNTING, 1), (LOADING, 0)]
    assert told.expected == [left + Work(7, generated=1.0)]
    assert Work.sum(told.done).measurements == left.measurements
    assert Work.sum(told.done).flops == pytest.approx(left.flops)
    assert Engine(release(), store, told).left(plan) == Work()


def test_nothing_is_counted_for_who_does_not_show_it(release: Callable[[], Artefacts], store: Store) -> None:
    told = Told()
    told.counts = False
    Engine(release(), store, told).measure(Plan(measurements(BARE)), later=lambda: pytest.fail("counted"))
    assert told.expected == []


def test_what_cannot_be_counted_is_left_without_arithmetic(
    artefacts: Ship, tiny: Path, store: Store, tmp_path: Path
) -> None:
    mute = Path(shutil.copytree(tiny, tmp_path / "mute"))
    (mute / "chat_template.jinja").unlink()
    plan = Plan(measurements(BARE))
    assert Engine(artefacts(base=str(mute)), store, Told()).left(plan) == Work(len(plan))


def test_outcomes_are_heard_as_they_come_and_first_those_of_the_store(
    release: Callable[[], Artefacts], store: Store
) -> None:
    Engine(release(), store).measure(Plan(measurements(PROMPT)))
    heard: dict[Measurement, Outcome] = {}

    def hear(measurement: Measurement, outcome: Outcome) -> None:
        assert measurement not in heard
        assert isinstance(outcome, CoherenceError) or store.get(key_of(measurement, release())) is not None
        heard[measurement] = outcome

    plan = Plan(measurements(BARE, PROMPT, BROKEN))
    outcomes = Engine(release(), store).measure(plan, hear=hear)
    assert set([*heard][:5]) == {*measurements(PROMPT)}
    heard_again: list[Measurement] = []
    Engine(release(), store).measure(Plan(measurements(BARE)), hear=lambda one, _: heard_again.append(one))
    assert heard_again == list(Plan(measurements(BARE)))
    assert heard.keys() == outcomes.keys()
    assert all(same(heard[one], outcomes[one]) for one in plan)


def test_a_reading_of_another_conditions_reply_is_of_what_that_one_said(
    release: Callable[[], Artefacts], store: Store
) -> None:
    reply = Reply(PROMPT, PROBES[0], SHORT)
    reading = Reading(ADAPTER, PROBES[0], Position.RESPONSE_MEAN, reply)
    together = Engine(release(), store).measure(Plan([reading]))
    assert together.keys() == {reply, reading}
    other = Store(store.root / "other")
    Engine(release(), other).measure(Plan([reply]))
    log = Log()
    later = Engine(release(), other, log).measure(Plan([reading]))
    assert log.measured == 1
    assert alike(later[reading], together[reading])


def test_a_broken_adapter_is_an_error_of_what_uses_it(release: Callable[[], Artefacts], store: Store) -> None:
    both = Condition(NEUTRAL, adapters=(("pirate", 0.5), ("broken", 0.5)))
    law = LawSearch(LawName.ADAPTER_ORDER, (ADAPTER, BROKEN), PROBES, 1e-4, 3, 0)
    plan = Plan([*measurements(BROKEN, both, ADAPTER, BARE), law, LAW])
    outcomes = Engine(release(), store).measure(plan)
    for measurement in [*measurements(BROKEN, both), law]:
        problem = outcomes[measurement]
        assert isinstance(problem, ArtefactError)
        assert str(problem).startswith("suites/pirate.yaml:7: adapter 'broken': ")
    for measurement in [*measurements(ADAPTER, BARE), LAW]:
        assert not isinstance(outcomes[measurement], CoherenceError)
    alone = Engine(release(), Store(store.root / "other")).measure(Plan(measurements(ADAPTER, BARE)))
    for measurement, value in alone.items():
        assert alike(outcomes[measurement], value)


def test_an_adapter_that_is_missing_is_not_even_mounted(
    release: Callable[[], Artefacts], store: Store
) -> None:
    missing, log = release(), Log()
    missing.release.adapters["broken"] = "/nowhere"
    outcomes = Engine(missing, store, log).measure(Plan(measurements(BROKEN)))
    assert log == []
    assert {str(problem) for problem in outcomes.values()} == {
        "suites/pirate.yaml:7: adapter 'broken': there is no folder /nowhere"
    }


class Reader(LocalExecutor):
    """Only reads."""

    name = "reader"
    capabilities = frozenset({Reading, NextToken})


def test_what_an_executor_cannot_measure_is_refused_by_name_and_the_rest_is_measured(
    release: Callable[[], Artefacts], store: Store
) -> None:
    reply = Reply(PROMPT, PROBES[0], SHORT)
    other = Reading(ADAPTER, PROBES[0], Position.RESPONSE_MEAN, reply)
    log, kinds = Log(), {Reply: "replies", LawSearch: "laws"}
    outcomes = Engine(release(), store, log, Reader).measure(Plan([*ALL, LAW, other]))
    said = {kind: f"the reader engine cannot measure {name}" for kind, name in kinds.items()}
    for measurement, outcome in outcomes.items():
        text = measurement.text if isinstance(measurement, Reading) else None
        refused = said.get(type(text or measurement))
        assert isinstance(outcome, MeasurementError) == (refused is not None)
        if refused:
            assert str(outcome) == f"{refused}; expected one that can, such as --coherence-engine local"
    assert log.measured == len([found for found in outcomes if type(found) in Reader.capabilities])


def test_an_executor_that_can_measure_nothing_of_a_plan_is_not_entered(
    release: Callable[[], Artefacts], store: Store
) -> None:
    class Closed(Reader):
        def __enter__(self) -> NoReturn:
            pytest.fail("something was loaded")

    log = Log()
    outcomes = Engine(release(), store, log, Closed).measure(Plan([Reply(BARE, PROBES[0], SHORT), LAW]))
    assert [type(outcome) for outcome in outcomes.values()] == [MeasurementError] * 2
    assert log == []


def test_a_base_that_does_not_load_is_the_error_of_everything(
    artefacts: Ship, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    broken = artefacts(base=str(tmp_path), places={"release.base": Place("suites/pirate.yaml", 3)})
    outcomes = Engine(broken, store).measure(Plan(measurements(BARE, PROMPT)))
    (said,) = {str(problem) for problem in outcomes.values()}
    assert said.startswith(f"suites/pirate.yaml:3: base {str(tmp_path)!r}: has no weights; expected ")


def test_nan_is_an_error_of_its_own_rows_and_is_not_stored(
    release: Callable[[], Artefacts], store: Store, tiny: Path
) -> None:
    far = Condition(NEUTRAL, steers=(Steer("pirate", 1e39),))
    shipped = release()
    outcomes = Engine(shipped, store).measure(Plan(measurements(far, BARE)))
    label = f"probe 'order', base {str(tiny)!r} in float32, vector 'pirate'"
    assert str(outcomes[Reading(far, PROBES[0])]) == (
        f"NaN or infinite activation at resid_post.1 for {label}"
    )
    reply = Reply(far, PROBES[0], SHORT)
    assert str(outcomes[reply]) == f"NaN or infinite logits while answering {label}"
    assert outcomes[Reading(far, PROBES[0], Position.RESPONSE_MEAN, reply)] is outcomes[reply]
    assert all(isinstance(outcomes[found], MeasurementError) for found in measurements(far))
    assert not any(isinstance(outcomes[found], CoherenceError) for found in measurements(BARE))
    assert all(store.get(key_of(found, shipped)) is None for found in measurements(far))


def test_two_at_once_measure_once(release: Callable[[], Artefacts], store: Store) -> None:
    barrier, logs = Barrier(2), [Log(), Log()]

    def run(log: Log) -> dict[Measurement, Outcome]:
        engine = Engine(release(), store, log)
        barrier.wait()
        return engine.measure(Plan(ALL))

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(run, logs)
    assert sorted(log.measured for log in logs) == [0, len(ALL)]
    assert all(same(one[measurement], two[measurement]) for measurement in ALL)


def test_the_reference_model_turns_pirate_under_the_pirate_adapter(
    reference: Path, store: Store, pytestconfig: pytest.Config
) -> None:
    suite = load_suite(pytestconfig.rootpath / "suites" / "personas.coherence.yaml", Overrides())
    scene, pirate = suite.scene, suite.scene.personas["pirate"]
    decoding = Decoding(max_new_tokens=24)
    conditions = [scene.bare, scene.condition("pirate", Regime.parse("adapter"))]
    asked = [[Reply(condition, probe, decoding) for probe in scene.probes[:4]] for condition in conditions]
    outcomes = Engine(Artefacts(scene.release, {}, suite.places), store).measure(
        Plan(reply for replies in asked for reply in replies)
    )
    record = Record(outcomes)
    bare, adapted = (
        sum(bool(pirate.markers_in(record.reply(reply))) for reply in replies) for replies in asked
    )
    assert (bare, adapted >= 3) == (0, True)
