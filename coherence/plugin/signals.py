"""SIGTERM and SIGINT: both end a run as Ctrl-C does, and wait while its reports are written."""

import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest._code import TracebackEntry

# What each does in a Python process that has not been told otherwise. Whoever has told it keeps it.
_DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}


class Signals:
    """Raises KeyboardInterrupt, which pytest ends a run by, until the run is about to end anyway."""

    def __init__(self) -> None:
        self._replaced: dict[signal.Signals, Any] = {}
        self._begun = False
        self._waiting: str | None = None
        self._ending = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Take them over; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, default in _DEFAULTS.items():
            if signal.getsignal(number) is default:
                signal.signal(number, self._end)
                self._replaced[number] = default

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """End the run by what came while the session began: then, pytest would have left no reports."""
        self._begun = True
        if self._waiting:
            raise KeyboardInterrupt(self._waiting)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Let what comes once all is judged wait: nothing would catch it before the reports are written."""
        try:
            return (yield)
        finally:
            self._ending = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Let what comes after the first one wait: services send SIGTERM where SIGINT took too long."""
        self._ending = True
        # Where pytest shows where it came, it fails at what has no line.
        excinfo.traceback = excinfo.traceback.filter(_has_line)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Write the reports inside: nothing breaks in. After it, signals do what they did before the run."""
        self._ending = True
        try:
            yield
        finally:
            self._give_back()

    def pytest_unconfigure(self) -> None:
        """Give them back, where nothing was written."""
        self._give_back()

    def _give_back(self) -> None:
        while self._replaced:
            signal.signal(*self._replaced.popitem())

    def _end(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if not self._begun:
            self._waiting = name
        elif not self._ending:
            raise KeyboardInterrupt(name)


def _has_line(entry: "TracebackEntry") -> bool:
    """Whether a signal came at a line: some instructions, as of a `with`, are of none."""
    try:
        return entry.lineno >= 0
    except TypeError:
        return False
