"""In processes of their own: what a heap gives back depends on everything that was ever taken from it."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

SCRIPT = """
from contextlib import nullcontext
from pathlib import Path
from resource import RUSAGE_SELF, getpagesize, getrusage
import torch
from coherence.engine.model.malloc import kept_heap

LARGE = 1 << 26

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()

def take(times):
    for _ in range(times):
        torch.ones(LARGE, dtype=torch.uint8)

take(1)
"""

FAULTS = """
with {around}():
    take(20)
    before = getrusage(RUSAGE_SELF).ru_minflt
    take(8)
    print(getrusage(RUSAGE_SELF).ru_minflt - before)
"""

GIVEN_BACK = """
before = resident()
try:
    with kept_heap():
        take(4)
        print(resident() - before > LARGE / 2)
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print(resident() - before < LARGE / 8)
"""


def _run(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SCRIPT + script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_memory_that_was_freed_is_there_for_the_next_tensor() -> None:
    (kept,), (usual,) = (_run(FAULTS.format(around=around)) for around in ("kept_heap", "nullcontext"))
    assert int(kept) < int(usual) / 10


def test_it_is_given_back_at_the_end_also_after_an_exception() -> None:
    assert _run(GIVEN_BACK) == ["True", "True"]
