"""Charts, drawn in processes of every descent."""

import os
from multiprocessing import get_context

import pytest

from coherence.reports.html.charts import drawn

CHART = {
    "data": {"values": [{"name": "<first> é", "x": 1}, {"name": "second", "x": 3}]},
    "mark": "point",
    "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "name", "type": "nominal"}},
}
PATIENCE = 120  # seconds; it used to wait for ever


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_of_a_process_that_has_drawn_draws_the_same(tmp_path):
    expected = drawn(CHART, "two points")
    assert "&lt;first&gt; é" in expected
    forks = get_context("fork")
    fork = forks.Process(
        target=lambda: (tmp_path / "chart.svg").write_text(drawn(CHART, "two points"), encoding="utf-8")
    )
    fork.start()
    fork.join(PATIENCE)
    fork.kill()
    fork.join()
    assert fork.exitcode == 0
    assert (tmp_path / "chart.svg").read_text(encoding="utf-8") == expected
