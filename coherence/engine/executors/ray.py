"""Jobs on a cluster: actors of Ray, each with the model loaded once, take them off one queue."""

import logging
import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.executors.actor import Actor
from coherence.engine.executors.executor import EVERYTHING, Warn
from coherence.engine.executors.shares import Node, Shares, shares
from coherence.engine.requests.job import Job
from coherence.errors import EngineError, MeasurementError, first_line
from coherence.plan import Measurement, Outcome
from coherence.store import Store

# How many actors may be lost at one job, or at starting one after the other, before it is given up.
LOSSES = 3

# How long the first actor may wait for room on the cluster, which may have to start a machine.
START_S = 300.0

_CONNECT_S = 5.0


_Handle: TypeAlias = ActorHandle[Actor]


@dataclass(eq=False)
class _Task:
    """A job, and how many actors were lost at it."""

    job: Job
    losses: int = 0


class _Queue:
    """Tasks that nobody is at: what a lost actor was at first, and then jobs, as they are asked for."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._again: deque[_Task] = deque()
        self._jobs = iter(jobs)
        self._over = False

    def take(self) -> _Task | None:
        if self._again:
            return self._again.popleft()
        job = next(self._jobs, None)
        self._over = job is None
        return None if job is None else _Task(job)

    def again(self, task: _Task) -> None:
        self._again.append(task)

    @property
    def over(self) -> bool:
        return self._over and not self._again

    def __iter__(self) -> Iterator[_Task]:
        return iter(self.take, None)


class RayExecutor:
    """Runs jobs on a Ray cluster: the one at `address`, or the one that Ray finds or starts by itself.

    `actors` of them share its cores and GPUs; see `shares` for how many there are otherwise. The job of an
    actor that is lost is done again by another. An EngineError when there is no cluster, or no room on it.
    """

    name = "ray"
    capabilities = EVERYTHING

    def __init__(
        self,
        artefacts: Artefacts,
        store: Store,
        warn: Warn,
        *,
        address: str | None = None,
        actors: int | None = None,
    ) -> None:
        self._artefacts = artefacts
        self._store = Store(store.root.absolute())
        self._warn = warn
        self._address = address
        self._wanted = actors
        self._idle: list[_Handle] = []
        # What each of the others is at: a job, or nothing when it starts.
        self._doing: dict[ray.ObjectRef[Any], tuple[_Handle, _Task | None]] = {}
        self._failed_starts = 0
        self._why_none = ""

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            entered.enter_context(_connected(self._address))
            entered.callback(self._kill)
            self._shares = _shares(self._wanted)
            for _ in range(self.workers):
                self._start()
            self._leave = entered.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave.close()

    @property
    def workers(self) -> int:
        """How many actors there are."""
        return self._shares.actors

    def load(self) -> bool:
        """Load nothing: each actor loads the model at its first job."""
        return False

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Measurement, Outcome]]:
        """Yield the outcome of every measurement of the jobs."""
        waiting = _Queue(jobs)
        self._hand_out(waiting)
        while self._busy or not waiting.over:
            ended = self._ended()
            if ended is None:
                yield from _given_up(waiting, f"no actor can be started: {self._why_none}")
                return
            yield from self._taken(ended, waiting)
            self._hand_out(waiting)

    @property
    def _busy(self) -> bool:
        return any(task for _, task in self._doing.values())

    def _start(self) -> None:
        made = ray.remote(Actor).options(num_cpus=self._shares.cores, num_gpus=self._shares.gpus)
        actor: Any = made.remote(
            self._artefacts, self._store, self._shares.cores, _settings(self._shares.cores)
        )
        self._doing[actor.__ray_ready__.remote()] = (actor, None)

    def _hand_out(self, waiting: _Queue) -> None:
        while self._idle and (task := waiting.take()):
            actor = self._idle.pop()
            self._doing[actor.measure.remote(task.job)] = (actor, task)

    def _ended(self) -> ray.ObjectRef[Any] | None:
        """Wait until an actor has ended what it is at; None when there is none, or none gets going."""
        if not self._doing:
            return None
        ended, _ = ray.wait(list(self._doing), timeout=None if self._busy else START_S)
        if ended:
            return ended[0]
        self._why_none = f"{self._shares.cores} free cores are not to be had within {START_S:.0f} s"
        return None

    def _taken(self, ended: ray.ObjectRef[Any], waiting: _Queue) -> Iterator[tuple[Measurement, Outcome]]:
        actor, task = self._doing.pop(ended)
        self._idle.append(actor)
        try:
            result = ray.get(ended)
        except RayError as problem:
            if task and isinstance(problem, RayTaskError):
                # The measurer could not be made there, or what it measured could not be sent.
                yield from _given_up([task], f"an actor cannot measure it: {_reason(problem)}")
                return
            ray.kill(self._idle.pop())
            yield from self._lost(task, _reason(problem), waiting)
            return
        if task is None:
            self._failed_starts = 0
            return
        outcomes, sentences = result
        # At once: who takes the outcomes may take some time over them.
        self._hand_out(waiting)
        for sentence in sentences:
            self._warn(sentence)
        for measurement, outcome in outcomes:
            # Ray's arrays lie in its own memory, which goes with the cluster, and cannot be written.
            yield measurement, np.array(outcome) if isinstance(outcome, np.ndarray) else outcome

    def _lost(
        self, task: _Task | None, reason: str, waiting: _Queue
    ) -> Iterator[tuple[Measurement, Outcome]]:
        if task is None:
            self._failed_starts += 1
            self._why_none = reason
            if self._failed_starts < LOSSES:
                self._start()
            return
        self._start()
        task.losses += 1
        if task.losses < LOSSES:
            self._warn(f"an actor was lost, and what it measured is measured again by another: {reason}")
            waiting.again(task)
        else:
            yield from _given_up([task], f"{LOSSES} actors were lost while they measured it: {reason}")

    def _kill(self) -> None:
        for actor in [*self._idle, *(actor for actor, _ in self._doing.values())]:
            ray.kill(actor)
        self._idle.clear()
        self._doing.clear()


def _settings(cores: int) -> dict[str, str]:
    # Of the user's environment, what measuring heeds: the machines of a cluster have others.
    heeded = {name: value for name, value in os.environ.items() if name.startswith("COHERENCE_")}
    return heeded | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(cores))}


def _given_up(tasks: Iterable[_Task], why: str) -> Iterator[tuple[Measurement, Outcome]]:
    for task in tasks:
        yield from dict.fromkeys(task.job.measurements, MeasurementError(why)).items()


def _reason(problem: Exception) -> str:
    # What was raised in an actor, or in its creation, is on the last line, behind the trace.
    lines = str(problem).strip().splitlines()
    traced = isinstance(problem, RayTaskError) or "creation task" in lines[0]
    return lines[-1] if traced else first_line(problem)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster. What the caller has connected itself stays as it is."""
    if address is None and ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = address or os.environ.get("RAY_ADDRESS")
    try:
        _knock(where)
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, RayError) as problem:
        trouble = f"there is no Ray cluster at {where!r}" if where else "no Ray cluster can be started"
        raise EngineError(f"{trouble}: {first_line(problem)}") from problem
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    # Ray itself takes minutes to say that nobody is there, and tells it line by line.
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), _CONNECT_S).close()


def _shares(actors: int | None) -> Shares:
    gpus = os.environ.get("COHERENCE_DEVICE") != "cpu"
    return shares(
        [
            Node(int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)) if gpus else 0)
            for node in ray.nodes()  # type: ignore[no-untyped-call]
            if node["Alive"]
        ],
        actors,
    )
