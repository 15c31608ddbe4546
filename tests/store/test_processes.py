"""Several processes on one store, and what is left of those that were killed."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from coherence.store import Store

PROBES = 30

# Waits for a line so that all start at once; arrays of one number, so that a mixture of two is seen.
WRITER = """
import sys, numpy as np
from pathlib import Path
from coherence.store import Store
store, writer, rounds = Store(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for round in range(rounds):
    for probe in range(30):
        store.put({"probe": probe}, np.full(20_000, writer, np.float32))
        store.put({"probe": probe, "writer": writer}, np.full(100, round, np.float32))
        found = store.get({"probe": probe})
        assert found.shape == (20_000,) and found.min() == found.max()
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@contextmanager
def started(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that imports what it needs, says so, and waits for a line."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def go(*processes: subprocess.Popen[str]) -> None:
    """Let them start at once, when all are ready."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def leftovers(store: Store) -> list[Path]:
    return list(store.root.rglob("*.partial"))


def test_writers_of_the_same_and_of_other_keys_leave_whole_values(store: Store) -> None:
    with ExitStack() as running:
        writers = [running.enter_context(started(WRITER, store.root, writer, 3)) for writer in range(4)]
        go(*writers)
        assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(store.entries()) == PROBES + 4 * PROBES
    assert list(store.damaged()) == []
    assert leftovers(store) == []
    for probe in range(PROBES):
        shared = store.get({"probe": probe})
        assert isinstance(shared, np.ndarray)
        assert shared.min() == shared.max()
        for writer in range(4):
            own = store.get({"probe": probe, "writer": writer})
            assert isinstance(own, np.ndarray)
            assert (own == 2).all()


def test_killed_writers_leave_whole_values_and_a_store_that_works(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for writer in range(4):
        with started(WRITER, store.root, writer, 10**6) as process:
            go(process)
            time.sleep(0.15 + 0.013 * writer)
            process.send_signal(signal.SIGKILL)
            assert process.wait(60) == -signal.SIGKILL
        assert list(store.damaged()) == []
    assert len(store.entries()) > PROBES
    for probe in range(PROBES):
        store.put({"probe": probe}, np.zeros(5, np.float32))
        found = store.get({"probe": probe})
        assert isinstance(found, np.ndarray)
        assert not found.any()
    later = time.time() + 2 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    Store(store.root).prune(10**9)
    assert leftovers(store) == []


# Killed at exactly the worst moment: the part is written, and not yet in place.
STOPPED = """
import os, signal, sys, numpy as np
from pathlib import Path
from coherence.store import Store
print("ready", flush=True)
sys.stdin.readline()
Path.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
Store(Path(sys.argv[1])).put({"probe": 0}, np.ones(20_000, np.float32))
"""


def test_a_writer_killed_before_its_last_step_leaves_the_old_value(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put({"probe": 0}, np.zeros(5, np.float32))
    with started(STOPPED, store.root) as process:
        go(process)
        assert process.wait(60) == -signal.SIGKILL
    assert len(leftovers(store)) == 1
    assert list(store.damaged()) == []
    assert np.array_equal(store.get({"probe": 0}), np.zeros(5, np.float32))
    later = time.time() + 2 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert Store(store.root).prune(10**9).freed > 80_000
    assert leftovers(store) == []


# A whole run on the tiny model; says how many values it measured itself.
RUN = """
import pickle, sys
from pathlib import Path
import peft, torch, transformers
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.engine import Engine
from coherence.errors import CoherenceError
from coherence.plan import Condition, NextToken, Plan, Reading, Reply
from coherence.store import Store
from coherence.vocabulary import Decoding, Probe, Release
torch.set_num_threads(1)
base, root = sys.argv[1:]
bare, probes = Condition("Be brief."), [Probe(id=str(n), text=f"Question {n}?") for n in range(12)]
plan = Plan(
    kind(bare, probe, *more)
    for kind, more in ((Reply, [Decoding(max_new_tokens=4)]), (Reading, []), (NextToken, []))
    for probe in probes
)
puts = []
class Counting(Store):
    def put(self, key, value):
        puts.append(key)
        super().put(key, value)
print("ready", flush=True)
sys.stdin.readline()
values = Engine(Artefacts(Release(base=base), {}), Counting(Path(root))).measure(plan)
assert not any(isinstance(value, CoherenceError) for value in values.values()), values
print(len(plan), len(values), sum(key["kind"] in ("Reply", "Reading", "NextToken") for key in puts))
"""


def test_two_runs_at_once_measure_everything_once(
    tiny: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    with started(RUN, tiny, store.root) as one, started(RUN, tiny, store.root) as other:
        go(one, other)
        said = sorted(process.communicate(timeout=100)[0].split() for process in (one, other))
    assert said == [["36", "36", "0"], ["36", "36", "36"]]
    assert list(store.damaged()) == []
