"""A real local Ray cluster of two actors, kept for all of these tests."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray
import torch
from conditions import ADAPTER, BARE, BROKEN, PROMPT, STEERED

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.keys import key_of
from coherence.engine.engine import LOADING, Engine
from coherence.engine.executors.local import LocalExecutor
from coherence.engine.executors.progress import Silent
from coherence.engine.executors.ray import LOSSES, RayExecutor
from coherence.engine.requests.job import Job, jobs
from coherence.errors import ArtefactError, EngineError, MeasurementError, Place
from coherence.plan import (
    Condition,
    LawName,
    LawSearch,
    Measurement,
    NextToken,
    Outcome,
    Plan,
    Reading,
    Reply,
    Way,
    WeightError,
)
from coherence.store import Store
from coherence.vocabulary import Decoding, Position, Probe, Release

TOLERANCE = 1e-5  # float32, relative to the largest value of a measurement
PROBES = tuple(Probe(id=f"q{index}", text=f"Question {index}?" * (index + 1)) for index in range(4))
SHORT = Decoding(max_new_tokens=4)
LAW = LawSearch(LawName.BATCH_MATES, (BARE, ADAPTER), PROBES, 1e-4, 2, 0)
REPLY = Reply(BARE, PROBES[0], SHORT)
Outcomes = dict[Measurement, Outcome]


def measurements(*conditions: Condition) -> list[Measurement]:
    """Sixteen for each condition."""
    found: list[Measurement] = []
    for condition in conditions:
        for probe in PROBES:
            reply = Reply(condition, probe, SHORT)
            found += [reply, Reading(condition, probe, Position.RESPONSE_MEAN, reply)]
            found += [Reading(condition, probe), NextToken(condition, probe)]
    return found


ALL = [*measurements(BARE, PROMPT, ADAPTER, STEERED), LAW]


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two cores, so that each of the two actors has one, on any machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHERENCE_CACHE", str(tmp_path_factory.mktemp("cache")))
        ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def release(
    tiny: Path,
    tiny_adapter: Callable[..., Path],
    tiny_vector: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Artefacts:
    broken = tmp_path_factory.mktemp("broken")
    (broken / "adapter_config.json").write_text("{}")
    elsewhere = tiny_adapter("elsewhere", target_modules=["o_proj"], layers_to_transform=[1])
    adapters = {"pirate": str(tiny_adapter("pirate")), "broken": str(broken), "elsewhere": str(elsewhere)}
    vectors = {"pirate": str(tiny_vector("pirate"))}
    release = {"base": str(tiny), "adapters": adapters, "vectors": vectors}
    places = {"release.adapters.broken": Place("suites/pirate.yaml", 7)}
    return Artefacts(Release.model_validate(release), {}, places)


@pytest.fixture(scope="class")
def said() -> list[str]:
    """What the executor warned of."""
    return []


@pytest.fixture(scope="class")
def executor(
    release: Artefacts, said: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RayExecutor]:
    """Lives as long as the class."""
    with RayExecutor(release, Store(tmp_path_factory.mktemp("store")), said.append) as executor:
        yield executor


@pytest.fixture(autouse=True)
def unsaid(said: list[str]) -> None:
    said.clear()


class Log(list[tuple[str, int, int]], Silent):
    """Hears progress and warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.append((what, done, total))

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


@pytest.fixture(scope="module")
def local(release: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    """On as many threads as an actor."""
    with LocalExecutor(release, Store(tmp_path_factory.mktemp("local")), pytest.fail) as executor:
        yield executor


def same(one: Outcome, two: Outcome) -> bool:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two)
    return one == two


def alike(one: Outcome, two: Outcome) -> bool:
    """Equal, up to the rounding of batches that were made up in another way."""
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return bool(np.abs(one - two).max() <= TOLERANCE * np.abs(two).max())
    return one == two


def processes(doing: str = "") -> list[psutil.Process]:
    """The actors that this process started and that run, by what they are doing."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE and f"ray::Actor{doing}" in " ".join(process.cmdline())
    ]


def soon(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Fatal(str):
    """Ends the process that is handed it."""

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return os._exit, (1,)


class TestTwoActors:
    """On actors that outlive the tests; those that are killed are replaced."""

    def test_two_actors_give_the_bits_of_one_process(
        self, executor: RayExecutor, local: LocalExecutor
    ) -> None:
        cut = jobs(ALL, {}, executor.workers)
        found, expected = list(executor.run(cut)), dict(local.run(cut))
        assert len(found) == len(ALL)
        assert expected.keys() == dict(found).keys() == set(ALL)
        for measurement, outcome in found:
            assert same(outcome, expected[measurement])
            assert not isinstance(outcome, np.ndarray) or outcome.flags.writeable
        # Each has a fork that renders chat templates.
        actors = {process.pid for process in processes()}
        assert sum(process.ppid() not in actors for process in processes()) == executor.workers == 2
        for actor in executor._idle:
            assert ray.get(actor.__ray_call__.remote(lambda actor: torch.get_num_threads())) == 1

    def test_the_job_of_a_killed_actor_is_done_by_another(
        self, executor: RayExecutor, local: LocalExecutor, said: list[str]
    ) -> None:
        cut = jobs(ALL, {}, executor.workers)
        running = executor.run(cut)
        found = [next(running)]
        soon(lambda: processes(".measure"))
        processes(".measure")[0].send_signal(signal.SIGKILL)
        found += running
        expected = dict(local.run(cut))
        assert len(found) == len(ALL)
        assert all(same(outcome, expected[measurement]) for measurement, outcome in found)
        assert said == [
            "an actor was lost, and what it measured is measured again by another: "
            "The actor died unexpectedly before finishing this task."
        ]

    def test_what_kills_every_actor_becomes_an_error_and_the_rest_is_measured(
        self, executor: RayExecutor, local: LocalExecutor, said: list[str]
    ) -> None:
        fatal = Reading(Condition(Fatal("Be brief.")), PROBES[0])
        cut = jobs(measurements(BARE, PROMPT), {}, 2)
        found = dict(executor.run([*cut, Job((fatal,), {})]))
        problem = found.pop(fatal)
        assert isinstance(problem, MeasurementError)
        assert str(problem).startswith(f"{LOSSES} actors were lost while they measured it: The actor died")
        assert len(said) == LOSSES - 1
        expected = dict(local.run(cut))
        assert found.keys() == expected.keys()
        assert all(same(outcome, expected[measurement]) for measurement, outcome in found.items())

    def test_what_an_actor_says_is_heard_once(self, executor: RayExecutor, said: list[str]) -> None:
        cut = jobs(measurements(BARE), {}, 2)
        dict(executor.run(cut))
        for actor in executor._idle:
            ray.get(actor.__ray_call__.remote(lambda actor: actor._warnings.append("out of memory")))
        for _ in range(2):
            dict(executor.run(cut))
        assert said == ["out of memory"] * len(executor._idle)

    def test_a_mistake_of_ours_is_called_one(self, executor: RayExecutor) -> None:
        reading = Reading(ADAPTER, PROBES[0], Position.RESPONSE_MEAN, REPLY)
        (outcome,) = dict(executor.run([Job((reading,), {REPLY: np.zeros(1, np.float32)})])).values()
        assert "coherence raised AssertionError" in str(outcome)
        assert "a mistake of coherence itself: please report it" in str(outcome)
        assert len(dict(executor.run(jobs(measurements(BARE), {}, 2)))) == len(measurements(BARE))


def test_actors_that_cannot_be_started_are_an_error_of_everything(release: Artefacts, tmp_path: Path) -> None:
    fatal = Artefacts(release.release, {}, {"release.base": Place(Fatal("a.yaml"))})
    with RayExecutor(fatal, Store(tmp_path), pytest.fail) as executor:
        for _ in range(2):
            found = dict(executor.run(jobs(measurements(BARE), {}, executor.workers)))
            assert found.keys() == set(measurements(BARE))
            (problem,) = {str(outcome) for outcome in found.values()}
            assert problem.startswith("no actor can be started: The actor died")


def test_progress_errors_and_the_store_are_as_locally(release: Artefacts, store: Store) -> None:
    other = Reading(ADAPTER, PROBES[0], Position.RESPONSE_MEAN, REPLY)
    # In layers that neither adapter has, PEFT raises what nobody foresaw.
    apart = Condition(BARE.neutral, adapters=(("pirate", 1.0), ("elsewhere", 1.0)), way=Way.LINEAR)
    raising = [NextToken(apart, PROBES[0]), WeightError(apart)]
    plan = Plan([*measurements(BARE, BROKEN), *raising, LAW, other])
    log, local = Log(), Log()
    outcomes = Engine(release, store, log, RayExecutor).measure(plan)
    expected = Engine(release, Store(store.root / "local"), local).measure(plan)
    assert sorted(log) == sorted(local)
    assert log[:2] == [(LOADING, 0, 1), (LOADING, 1, 1)]
    assert log.warnings == []
    assert all(alike(outcomes[measurement], expected[measurement]) for measurement in measurements(BARE))
    for measurement in measurements(BROKEN):
        one, same_one = outcomes[measurement], expected[measurement]
        assert isinstance(one, ArtefactError)
        assert isinstance(same_one, ArtefactError)
        assert (str(one), one.sentence, one.place) == (str(same_one), same_one.sentence, same_one.place)
    for measurement in raising:
        assert isinstance(outcomes[measurement], MeasurementError)
        assert str(outcomes[measurement]) == str(expected[measurement])
        assert "peft raised IndexError: list index out of range" in str(outcomes[measurement])
    again = Log()
    kept = Engine(release, store, again, RayExecutor).measure(Plan([*measurements(BARE), LAW, other]))
    assert again == []
    assert all(same(value, outcomes[measurement]) for measurement, value in kept.items())


class Interrupt(Log):
    """Presses Ctrl-C after the first measurement."""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != LOADING:
            raise KeyboardInterrupt


def test_an_interrupted_run_leaves_no_actor(release: Artefacts, store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        Engine(release, store, Interrupt(), partial(RayExecutor, actors=1)).measure(Plan(measurements(BARE)))
    soon(lambda: not processes())
    assert ray.is_initialized()
    kept = [store.get(key_of(measurement, release)) for measurement in measurements(BARE)]
    assert len([value for value in kept if value is not None]) == 1


def test_more_actors_than_cores_are_refused(release: Artefacts, store: Store) -> None:
    executor = RayExecutor(release, store, pytest.fail, actors=3)
    with pytest.raises(EngineError, match="3 actors were asked for, but the cluster has 2 cores"), executor:
        pass
    assert processes() == []


def test_an_address_where_nobody_is_gets_a_sentence(release: Artefacts, store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    executor = RayExecutor(release, store, pytest.fail, address=address)
    sentence = f"^there is no Ray cluster at '{address}': .*refused"
    with pytest.raises(EngineError, match=sentence), executor:
        pass


SCRIPT = """
import pickle, sys, psutil, ray
from functools import partial
from pathlib import Path
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.ray import RayExecutor
from coherence.engine.engine import Engine
from coherence.errors import CoherenceError
from coherence.plan import Plan
from coherence.store import Store

if __name__ == "__main__":
    release, plan = pickle.load(open(sys.argv[1], "rb"))
    executor = partial(RayExecutor, address=sys.argv[2], actors=1)
    outcomes = Engine(Artefacts(release, {}), Store(Path("store")), executor=executor).measure(Plan(plan))
    assert not any(isinstance(outcome, CoherenceError) for outcome in outcomes.values()), outcomes
    assert not ray.is_initialized()
    assert psutil.Process().children() == []
    print(len(outcomes))
"""


@pytest.mark.parametrize("existing", [False, True])
def test_a_cluster_is_left_as_it_was_found_and_nothing_is_said(
    release: Artefacts, tmp_path: Path, existing: bool
) -> None:
    address = ray.get_runtime_context().gcs_address if existing else "local"
    (tmp_path / "run").write_bytes(pickle.dumps((release.release, measurements(BARE))))
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, "run", address], cwd=tmp_path, capture_output=True, text=True
    )
    assert (run.stdout, run.stderr, run.returncode) == (f"{len(measurements(BARE))}\n", "", 0)
