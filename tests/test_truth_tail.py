"""The tails that the bench of means of KL draws have the means that it takes for true."""

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from truth_tail import SIZES, TAILS, TEMPLATE, Row, cells, kl, seen  # noqa: E402


@pytest.mark.parametrize("tail", TAILS, ids=lambda tail: tail.name)
def test_the_truth_is_the_mean_of_many(tail):
    drawn = tail.drawn(np.random.default_rng(0), 400_000)
    assert (drawn > 0).all()
    assert drawn.mean() == pytest.approx(tail.mean, rel=0.05)


@pytest.mark.parametrize("tail", [tail for tail in TAILS if tail.templates], ids=lambda tail: tail.name)
def test_half_of_the_spread_is_the_templates(tail):
    logs = np.log(tail.drawn(np.random.default_rng(0), 80_000)).reshape(-1, TEMPLATE)
    assert np.corrcoef(logs[:, 0], logs[:, 1])[0, 1] == pytest.approx(0.5, abs=0.02)


def test_rows_are_told_and_read_again():
    rows = kl(replications=2, seed=0)
    assert len(cells(rows)) == 4 * len(seen(rows)) == 4 * len(TAILS)
    assert all(list(by_size) == [*SIZES] for by_size in cells(rows).values())
    assert [Row.of({name: str(value) for name, value in asdict(row).items()}) for row in rows] == rows
