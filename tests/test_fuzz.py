"""Some mutants of everything that is read, in workers with limits; benchmarks/fuzz.py tries many more."""

import json
import os
import sys
from pathlib import Path
from time import sleep

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

import forked  # noqa: E402
from fuzz import BEGIN, END, PAGE, RESULTS, Harvest, harvest, table  # noqa: E402
from fuzzed import KINDS  # noqa: E402

MUTANTS = 40


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_mutant_is_read_or_refused_in_a_sentence(kind):
    found = harvest(kind, seed=1, mutants=MUTANTS, seconds=None)
    assert found.wrong == {}
    assert found.mutants == MUTANTS
    assert found.refused > 0


def misbehave(number: int) -> str:
    match number:
        case 1:
            os.abort()
        case 2:
            return str(len([bytearray(10**8) for _ in range(30)]))
        case 3:
            while True:
                pass
        case 4:
            sleep(60)
    return ""


def test_what_ends_its_process_is_told_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(forked, "SECONDS", 1.0)
    monkeypatch.setattr(forked, "_PATIENCE", 15.0)
    ends = {fate.number: fate.wrong for fate in forked.fates(misbehave, range(6))}
    assert "in misbehave" in ends[4]
    told = {number: wrong.partition("\n")[0] for number, wrong in ends.items()}
    assert told == {
        0: "",
        1: "ended the process with SIGABRT",
        2: "asked for more than 1,000,000,000 bytes",
        3: "took more than 1 seconds",
        4: "waited for what never comes, or took the memory of the machine",
        5: "",
    }


def test_the_page_shows_what_was_found_last():
    kept = [Harvest(**one) for one in json.loads(RESULTS.read_text()).values()]
    published = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert "\n".join(table(kept)) == published.strip()
    assert {one.kind for one in kept} == {kind.name for kind in KINDS}
    assert all(one.wrong == {} for one in kept)
