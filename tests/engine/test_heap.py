import platform
from pathlib import Path
from resource import RUSAGE_SELF, getpagesize, getrusage

import pytest
import torch

from coherence.engine.heap import kept_heap

LARGE = 1 << 26

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")


def _faults() -> int:
    """Page faults of eight large tensors, one after the other, when there have been some before."""
    for _ in range(12):
        torch.ones(LARGE, dtype=torch.uint8)
    before = getrusage(RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(LARGE, dtype=torch.uint8)
    return getrusage(RUSAGE_SELF).ru_minflt - before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


def _fill_and_fail() -> None:
    with kept_heap():
        torch.ones(4 * LARGE, dtype=torch.uint8)
        raise KeyboardInterrupt


def test_memory_that_was_freed_is_there_for_the_next_tensor() -> None:
    without = _faults()
    with kept_heap():
        assert _faults() < without / 10


def test_it_is_given_back_at_the_end_also_after_an_exception() -> None:
    before = _resident()
    with pytest.raises(KeyboardInterrupt):
        _fill_and_fail()
    assert _resident() - before < LARGE
