"""A function that somebody else wrote, called in a process of its own, which may take so much and so long."""

import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from weakref import finalize

from coherence import limits

# Seconds of the clock for an answer, however busy the machine is.
_PATIENCE = 300.0
_TOO_LONG = f"takes more than {limits.TEMPLATE_SECONDS} seconds"
_TOO_MUCH = f"takes more than {limits.TEMPLATE_BYTES:,} bytes of memory"


class StoppedError(Exception):
    """Why a call was stopped, in words that follow the name of what was called."""


class _Process(NamedTuple):
    child: int
    pipe: Connection
    owner: int
    end: "finalize[[int, Connection, int], BoundedCall]"


class BoundedCall:
    """Calls of one function, in a fork of this process that is made for the first and kept for the others.

    What it takes and returns must be such as can be pickled, and it must raise nothing but MemoryError. A
    call that takes too much or too long raises a StoppedError, and so does every later one. Where there are
    no such processes, on other systems than Linux, it is called here, and without limits.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._stopped = ""
        self._process: _Process | None = None

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401
        """Call the function."""
        if sys.platform != "linux":
            return self._function(*arguments)
        if self._stopped:
            raise StoppedError(self._stopped)
        process = self._running()
        try:
            process.pipe.send(arguments)
            if not process.pipe.poll(_PATIENCE):
                os.kill(process.child, signal.SIGKILL)
            return process.pipe.recv()
        except (EOFError, OSError):
            self._stopped = self._reason(process)
            raise StoppedError(self._stopped) from None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the process behind, which is not on another machine."""
        return vars(self) | {"_process": None}

    def _running(self) -> _Process:
        # A fork of this process has the pipe as well, and no part in what is said there.
        if self._process is None or self._process.owner != os.getpid():
            self._process = self._begun()
        return self._process

    def _begun(self) -> _Process:
        ours, theirs = Pipe()
        with warnings.catch_warnings():
            # Python warns where there are threads: this child starts none, and waits for none.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            ours.close()
            _answer(self._function, theirs)
        theirs.close()
        owner = os.getpid()
        return _Process(child, ours, owner, finalize(self, _end, child, ours, owner))

    def _reason(self, process: _Process) -> str:
        process.end.detach()
        process.pipe.close()
        _, status = os.waitpid(process.child, 0)
        stopped = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        return _TOO_LONG if stopped else _TOO_MUCH


def _answer(function: Callable[..., Any], pipe: Connection) -> None:
    """Answer calls until nobody asks any more; the process ends here."""
    import resource

    def seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    with suppress(BaseException):
        data = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (data + limits.TEMPLATE_BYTES,) * 2)
        while True:
            arguments = pipe.recv()
            until = int(seconds()) + limits.TEMPLATE_SECONDS + 1
            resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
            pipe.send(function(*arguments))
    os._exit(0)


def _end(child: int, pipe: Connection, owner: int) -> None:
    pipe.close()
    if os.getpid() == owner:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
