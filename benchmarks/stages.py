"""How far a run of the gate has come, told by itself to the process that waits outside."""

import time
from collections.abc import Generator
from enum import IntEnum
from multiprocessing.connection import Connection
from typing import NamedTuple

import pytest


class Stage(IntEnum):
    """The stages of a run, in the order in which it comes to them."""

    BEGINNING = 0
    READING = 1
    MEASURING = 2
    JUDGING = 3
    WRITING = 4

    @property
    def shown(self) -> str:
        """What a reader calls it."""
        return _SHOWN[self]


_SHOWN = {
    Stage.BEGINNING: "before the session",
    Stage.READING: "reading the suites",
    Stage.MEASURING: "measuring",
    Stage.JUDGING: "judging",
    Stage.WRITING: "writing the reports, or after",
}


class Reached(NamedTuple):
    """A stage, and the second of the machine's steady clock at which the run came to it."""

    stage: Stage
    at: float


class Teller:
    """A plugin of pytest that tells each stage once, as the run comes to it.

    A run of several processes is told of by the one that writes the reports.
    """

    def __init__(self, tell: Connection) -> None:
        self._tell = tell
        self._told = -1
        self._come_to(Stage.BEGINNING)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Begin: from here on signals are held."""
        self._come_to(Stage.READING)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """Hear that the first worker has planned all."""
        self._come_to(Stage.MEASURING)

    def pytest_runtest_logstart(self) -> None:
        """Hear that the first verdict is asked for."""
        self._come_to(Stage.JUDGING)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """See the loop begin, inside of what takes in what was selected, and end: the last verdict is there.

        A process whose workers collect has no items of its own.
        """
        if session.items:
            self._come_to(Stage.MEASURING)
        found = yield
        self._come_to(Stage.WRITING)
        return found

    def _come_to(self, stage: Stage) -> None:
        if stage > self._told:
            self._told = stage
            self._tell.send(Reached(stage, time.perf_counter()))
