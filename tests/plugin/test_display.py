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
        "coherence: replies: 24 done",
        "coherence: residuals: 56 done",
    ]
    assert "\x1b" not in run.stdout.str()


def test_a_terminal_gets_bars(bench, tmp_path):
    bench.suite("passes", "speaks")
    text = bench.run("--color=yes", store=tmp_path / "store").stdout.str()
    assert "24/24" in text
    assert re.search(r"replies .*━", text)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")


def test_quiet_means_quiet(bench, tmp_path):
    bench.suite("passes")
    assert "done" not in bench.run("-q", store=tmp_path / "store").stdout.str()


def test_what_is_stored_needs_no_progress(bench):
    bench.suite("passes")
    bench.run()
    assert "done" not in bench.run().stdout.str()
