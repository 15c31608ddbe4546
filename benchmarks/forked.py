"""Calls in a forked process that may take so much memory and so much time, and what became of each."""

import faulthandler
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

MEMORY = 1_000_000_000
"""Bytes that a call may ask for beyond what the process had."""
SECONDS = 5.0
"""Of the processor, for one call."""
# Seconds of the clock, after which a call waits for something that never comes.
_PATIENCE = 120.0


class Fate(NamedTuple):
    """What became of a call, by its number; `wrong` is empty where it did what it should."""

    number: int
    wrong: str
    seconds: float
    grown: int


def fates(call: Callable[[int], str], numbers: Sequence[int]) -> Iterator[Fate]:
    """Make a call for each number; one that kills its process, or does not end, is told like the others.

    `call` returns what went wrong, or an empty text.
    """
    left = list(numbers)
    while left:
        for fate in _in_one_process(call, left):
            left = left[left.index(fate.number) + 1 :]
            yield fate


def _in_one_process(call: Callable[[int], str], numbers: Sequence[int]) -> Iterator[Fate]:
    told, tell = Pipe(duplex=False)
    with TemporaryFile("w+") as where:
        sys.stdout.flush()
        gc.freeze()
        child = os.fork()
        if not child:
            _work(call, numbers, tell, where)
        tell.close()
        done = 0
        with told, suppress(EOFError):
            while done < len(numbers):
                if not told.poll(_PATIENCE):
                    os.kill(child, signal.SIGKILL)
                    break
                yield told.recv()
                done += 1
        _, status = os.waitpid(child, 0)
        if done < len(numbers):
            where.seek(0)
            yield Fate(numbers[done], f"{_end(status)}\n{where.read()}".strip(), SECONDS, 0)


def _end(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"ended the process with exit code {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    ends: dict[int, str] = {
        signal.SIGXCPU: f"took more than {SECONDS:g} seconds",
        signal.SIGKILL: "waited for what never comes, or took the memory of the machine",
    }
    return ends.get(number, f"ended the process with {signal.Signals(number).name}")


def _work(call: Callable[[int], str], numbers: Sequence[int], tell: Connection, where: IO[str]) -> None:
    with suppress(BaseException):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (_data() + MEMORY,) * 2)
        for number in numbers:
            used, before = _used(), _peak()
            # Whoever waits for what never comes says where it stands, before it is killed.
            faulthandler.dump_traceback_later(_PATIENCE / 2, file=where)
            resource.setrlimit(resource.RLIMIT_CPU, (int(used + SECONDS + 1), resource.RLIM_INFINITY))
            try:
                wrong = call(number)
            except MemoryError:
                wrong = f"asked for more than {MEMORY:,} bytes"
            faulthandler.cancel_dump_traceback_later()
            tell.send(Fate(number, wrong, _used() - used, _peak() - before))
    os._exit(0)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _used() -> float:
    found = resource.getrusage(resource.RUSAGE_SELF)
    return found.ru_utime + found.ru_stime


def _data() -> int:
    """Return the bytes that the process may write to; what is only reserved does not count."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
