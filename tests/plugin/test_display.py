"""Progress while the model works."""

import re


def test_a_log_gets_a_line_for_each_stage(bench, tmp_path):
    bench.suite("passes", "speaks", "fails")
    run = bench.run(store=tmp_path / "store")
    said = [line for line in run.outlines if re.match(r"coherence: [a-z ]+: \d+ done", line)]
    # The order of the kinds is the engine's own affair: what is cheapest comes first.
    assert said[0] == "coherence: loading the model: 1 done"
    assert sorted(said[1:]) == [
        "coherence: laws: 1 done",
        "coherence: replies: 40 done",
        "coherence: residuals: 64 done",
    ]
    assert "\x1b" not in run.stdout.str()


def test_a_terminal_gets_bars(bench, tmp_path):
    bench.suite("passes", "speaks")
    text = bench.run("--color=yes", store=tmp_path / "store").stdout.str()
    assert "40/40" in text
    assert re.search(r"replies .*━", text)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")


def test_quiet_means_quiet(bench, tmp_path):
    bench.suite("passes")
    assert "done" not in bench.run("-q", store=tmp_path / "store").stdout.str()


def test_what_is_stored_needs_no_progress(bench):
    bench.suite("passes")
    bench.run()
    assert "done" not in bench.run().stdout.str()


def test_the_worker_of_xdist_that_measures_says_how_far_it_is(bench, tmp_path):
    bench.suite("passes", "speaks")
    run = bench.run_apart("-n", "2", store=tmp_path / "store")
    said = [line for line in run.errlines if line.startswith("coherence: ")]
    assert said[0] == "coherence: loading the model: 1 done"
    assert len([line for line in said if " replies: " in line]) == 1
    assert "done" not in run.stdout.str()


def test_a_quiet_worker_is_quiet(bench, tmp_path):
    bench.suite("passes")
    assert bench.run_apart("-n", "2", "-q", store=tmp_path / "store").errlines == []
