"""The bench of looks at controls draws what it says, and its rows say what the looks decide."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from truth_controls import DISTANCES, SIZES, looked_at
from truth_looks import SAMPLES


def test_what_is_far_beyond_ends_early_and_what_is_within_is_measured_whole():
    rows = {(row.sample, row.n, row.truth): row for row in looked_at(replications=40, seed=0)}
    assert len(rows) == len(SAMPLES) * len(SIZES) * len(DISTANCES)
    normal = SAMPLES[0].name
    within, beyond = rows[normal, 24, "4.3 within"], rows[normal, 24, "10 beyond"]
    assert within.passes == within.passes_by_all > 0.9
    assert within.probes == 24
    assert (beyond.passes, beyond.passes_by_all) == (0, 0)
    assert beyond.probes < 12
    assert all(row.passes <= row.passes_by_all for row in rows.values())
