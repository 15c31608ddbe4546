"""Runs that are ended at moments of their own stages: how they are spread, told of and published."""

import sys
from collections import Counter
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from coherence.store import Store

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from kills import BEGIN, END, PAGE, SIGNALS, STORES, apart, moments, read_kept, table  # noqa: E402
from stages import Reached, Stage, Teller  # noqa: E402


def test_moments_are_spread_evenly_over_stages_stores_and_each_stage():
    spread = moments(100)
    assert Counter((one.stage, one.store) for one in spread) == {
        (stage, store): 10 for stage in Stage for store in STORES
    }
    shares = [one.share for one in spread if (one.stage, one.store) == (Stage.JUDGING, "full")]
    assert shares == pytest.approx([0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95])
    assert {one.stage for one in moments(7)} == set(Stage)


def test_a_run_tells_each_of_its_stages_once(pytester):
    told, tell = Pipe(duplex=False)
    pytester.makepyfile("def test_one(): pass\ndef test_two(): pass\n")
    pytester.inline_run("-p", "no:coherence", plugins=[Teller(tell)])
    tell.close()
    reached: list[Reached] = []
    with told, suppress(EOFError):
        while True:
            reached.append(told.recv())
    assert [one.stage for one in reached] == list(Stage)
    assert [one.at for one in reached] == sorted(one.at for one in reached)


def test_two_entries_of_one_key_are_told_apart(tmp_path):
    entries = []
    for name, value in (("own", 1.0), ("other", 1.5)):
        Store(tmp_path / name).put({"kind": "Reading"}, np.full(3, value, np.float32))
        entries += (tmp_path / name).rglob("*.safetensors")
    assert apart(*entries).startswith("at most 0.5 apart; {")
    assert '"kind":"Reading"' in apart(*entries).replace("\\", "")


def test_the_page_shows_what_was_left_when_it_was_published():
    kept = read_kept()
    assert kept
    assert set(kept) <= set(SIGNALS)
    for name, left in kept.items():
        published = PAGE.read_text().partition(BEGIN.format(name))[2].partition(END)[0]
        assert "\n".join(table(left)) == published.strip()
        assert {one.stage for one in left} == set(Stage)
        assert [fault for one in left for fault in one.faults] == []
