"""What many claims cost one, on few draws: the table is in docs/errors.md."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from truth_padding import CRITERIA, EFFECTS, FAMILIES, SUITES, Suite, judged


def shares_of_runs(suite, effect, runs=100):
    random = np.random.default_rng(0)
    drawn = [judged(suite, suite.drawn(EFFECTS[effect], random), healthy=False) for _ in range(runs)]
    return np.mean(drawn, 0)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_a_full_size_fault_is_a_fail_among_whatever_there_is(suite):
    fails, *_ = shares_of_runs(suite, "full")
    assert fails >= 0.99


def test_what_could_not_fail_costs_nothing():
    padded = Suite("padded", 499, counted=False)
    alone = Suite("alone", 0)
    p = alone.drawn(3.0, np.random.default_rng(1))
    wide = np.concatenate([p, np.ones(499 * CRITERIA)])
    assert judged(padded, wide, healthy=False) == judged(alone, p, healthy=False)


def test_groups_are_families_and_what_is_not_counted_has_none():
    assert Suite("two", 1).groups == [FAMILIES[0]] * 6
    assert Suite("two", 1, FAMILIES[1:2]).groups == [FAMILIES[0]] * 3 + [FAMILIES[1]] * 3
    assert Suite("two", 1, counted=False).groups == [FAMILIES[0]] * 3 + [None] * 3
