"""A Python that has imported torch and all that comes with it: every call of it is a fork of one process.

A run of the gate in a process of its own takes 17 seconds of a slow processor with two workers of
pytest-xdist, and 2 where all three are such forks: the rest are imports. What `warm` yields is called like an
interpreter, takes over the caller's directory, environment and streams, and says itself to be
`sys.executable`, so that workers are forks as well. It differs from a fresh interpreter in what is imported
already, in the seed of hashes, which all forks share, and in that it reads no variable that Python reads when
it starts: whoever tests imports, the order of sets or an encoding starts a fresh one.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import stat
import subprocess
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

PRELOADED = (
    "coherence.engine.executors.measurer",
    "coherence.plugin.outputs",
    "coherence.plugin.session",
    "coherence.reports.views",
    "peft",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
)
_SECONDS = 10.0
# What is called as an interpreter: it hands over what it was given, and ends as its fork does.
_CALL = """\
#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    given = {{"arguments": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ)}}
    message = json.dumps(given, ensure_ascii=True).encode()
    socket.send_fds(asked, [len(message).to_bytes(8, "big")], [0, 1, 2])
    asked.sendall(message)
    code = asked.recv(16)
os._exit(int(code or 70))
"""
# The commands of an environment, as pip writes them, for this interpreter.
_COMMANDS = {
    "coherence": "import sys; from coherence.cli import main; sys.exit(main())",
    "pytest": "import sys; from pytest import console_main; sys.exit(console_main())",
}


@contextmanager
def warm() -> Iterator[Path]:
    """Start the process that is forked, and yield the interpreter; `coherence` and `pytest` lie beside it."""
    with TemporaryDirectory(prefix="warm") as folder:
        address, python = Path(folder) / "socket", Path(folder) / "python"
        _write(python, _CALL.format(python=sys.executable, address=str(address)))
        for name, code in _COMMANDS.items():
            _write(python.with_name(name), f"#!/bin/sh\nexec {python} -c '{code}' \"$@\"\n")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(address))
            listening.listen()
            command = [sys.executable, __file__, str(listening.fileno()), str(python)]
            server = subprocess.Popen(command, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL)
        # Whoever calls while it is imported waits, and is refused where that failed: nobody else listens.
        with server:
            try:
                yield python
            finally:
                server.kill()


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def serve(listening: socket.socket) -> dict[str, Any]:
    """Fork for every call, and return in the fork, with what it was called with."""
    parent = os.getppid()
    # Whoever forks does not wait: the system forgets children by itself.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening.settimeout(_SECONDS)
    while True:
        try:
            asked, _ = listening.accept()
        except TimeoutError:
            # Tests that were killed could not end it.
            if os.getppid() != parent:
                sys.exit()
            continue
        if not os.fork():
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _begun(asked)
        asked.close()


def _begun(asked: socket.socket) -> dict[str, Any]:
    """Return in a second fork, whose end the first one tells."""
    length, streams, _, _ = socket.recv_fds(asked, 8, 3)
    with asked.makefile("rb") as reading:
        given = json.loads(reading.read(int.from_bytes(length, "big")))
    if child := os.fork():
        for stream in streams:
            os.close(stream)
        status = os.waitpid(child, 0)[1]
        asked.sendall(str(os.waitstatus_to_exitcode(status) & 0xFF).encode())
        os._exit(0)
    asked.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return dict(given)


def become(python: str, given: dict[str, Any]) -> None:
    """Do what an interpreter does with its arguments: `[-u] -m MODULE`, `-mMODULE`, `-c CODE` or a file."""
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["environment"])
    sys.executable = python
    paths = given["environment"].get("PYTHONPATH", "")
    sys.path[0:1] = ["", *filter(None, paths.split(os.pathsep))]
    arguments = given["arguments"][1:]
    while arguments[0] == "-u":
        arguments = arguments[1:]
    flag, rest = arguments[0][:2], ([arguments[0][2:]] if len(arguments[0]) > 2 else []) + arguments[1:]
    if flag == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif flag == "-c":
        sys.argv = ["-c", *rest[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def end(python: str, given: dict[str, Any]) -> NoReturn:
    """Do it, and end as an interpreter does, but for taking apart one by one what the fork shares."""
    code: Any = 0
    try:
        become(python, given)
    except SystemExit as left:
        code = left.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(1 if isinstance(code, str) else int(code or 0))


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as calls:
        # Some of these say that they are deprecated, or what they miss.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in PRELOADED:
                import_module(name)
        # What is here to stay is not looked through again, which would copy its pages into every fork.
        gc.collect()
        gc.freeze()
        asked = serve(calls)
    end(sys.argv[2], asked)
