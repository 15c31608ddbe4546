"""Progress while the model works."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from contextlib import suppress

import pytest

# What says of the terminal what it is not, PY_COLORS by pytester among them.
_TERMINAL = {"COLUMNS", "CI", "NO_COLOR", "PY_COLORS"}


def test_a_log_gets_a_line_for_each_stage(bench, tmp_path):
    bench.suite("passes", "speaks", "fails")
    run = bench.run(store=tmp_path / "store")
    said = [line for line in run.outlines if re.match(r"coherence: [a-z ]+: \d+ done", line)]
    # The order of the kinds is the engine's own affair: what is cheapest comes first.
    assert said[:2] == ["coherence: counting the work: 1 done", "coherence: loading the model: 1 done"]
    assert sorted(said[2:]) == [
        "coherence: laws: 1 done",
        "coherence: replies: 24 done",
        "coherence: residuals: 56 done",
    ]
    assert "\x1b" not in run.stdout.str()


def test_a_log_gets_a_line_for_each_verdict_as_it_stands_by_itself(bench, tmp_path):
    bench.suite("passes", "speaks", "fails")
    run = bench.run(store=tmp_path / "store")
    said = [line for line in run.outlines if line.startswith("coherence: provisional, ")]
    told = {bench.ids["passes"]: "passes", bench.ids["speaks"]: "is", bench.ids["fails"]: "fails:"}
    assert [line.split(":")[1] for line in said] == [f" provisional, {place} of 3" for place in (1, 2, 3)]
    for line in said:
        name, claim, *_ = line.partition(" of 3: ")[2].split()
        assert claim.rstrip(":") == told.pop(name).rstrip(":")
    assert run.outlines.index(said[0]) < run.outlines.index(said[-1]) < len(run.outlines) - 1


def test_what_is_stored_has_no_provisional_verdict(bench, tmp_path):
    bench.suite("passes", "speaks")
    bench.run(store=tmp_path / "store")
    assert "coherence: provisional" not in bench.run(store=tmp_path / "store").stdout.str()


def test_a_terminal_gets_one_bar(bench, tmp_path):
    bench.suite("passes", "speaks", "fails")
    run = bench.run("--color=yes", store=tmp_path / "store")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", run.stdout.str())
    assert re.search(r"━ 81/81 took \d:\d\d 3/3 judged, 2 red", text)
    assert "\x1b[1A" not in run.stdout.str()  # by which lines above the last are drawn again
    # What is as expected is counted, and nobody waits for more of it.
    assert sorted(re.findall(r"provisional, \d of 3: (\S+)", text)) == [
        bench.ids["fails"],
        bench.ids["speaks"],
    ]
    assert run.stdout.str().count("\x1b[?25l") == run.stdout.str().count("\x1b[?25h")


def test_every_verdict_has_a_line_where_that_is_wanted(bench, tmp_path):
    bench.suite("passes", "speaks")
    text = bench.run("--color=yes", "-v", store=tmp_path / "store").stdout.str()
    assert len(re.findall("coherence: provisional", text)) == 2


@pytest.mark.parametrize(("no_color", "columns"), [("", 80), ("", 100), ("1", 80)])
def test_a_pseudo_terminal_gets_a_bar_unless_no_color_is_wanted(
    bench, warm_python, tmp_path, no_color, columns
):
    bench.suite("passes")
    given = ["--coherence", f"--coherence-store={tmp_path / 'store'}", "a.coherence.yaml"]
    drawn = on_terminal([warm_python, "-m", "pytest", *given], columns, NO_COLOR=no_color)
    assert ("\x1b[?25l" in drawn) == (not no_color)
    if no_color:
        assert "\x1b" not in drawn
        assert "coherence: laws: 1 done" in drawn
    else:
        assert re.search(r"━ 1/1 took \d:\d\d 1/1 judged", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).split(" coherence ==")[1].splitlines()
    assert max(map(len, shown[: shown.index("results: coherence-results.json")])) <= columns


def test_a_terminal_without_unicode_gets_ascii(bench, tmp_path, monkeypatch):
    bench.suite("passes")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    text = bench.run_fresh("--color=yes", store=tmp_path / "store").stdout.str()
    assert text.isascii()
    assert "\\u" not in text


def on_terminal(command, columns, **environment):
    """What a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    changed = {name: value for name, value in os.environ.items() if name not in _TERMINAL}
    changed |= {"TERM": "xterm"} | {name: value for name, value in environment.items() if value}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=changed):
        os.close(theirs)
        found = b""
        with suppress(OSError):  # which is how Linux says that the other end is closed
            while part := os.read(ours, 1 << 16):
                found += part
    os.close(ours)
    return found.decode().replace("\r", "")


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
    assert said[:2] == ["coherence: counting the work: 1 done", "coherence: loading the model: 1 done"]
    assert len([line for line in said if " replies: " in line]) == 1
    assert len([line for line in said if " provisional, " in line]) == 2
    assert "done" not in run.stdout.str()


def test_a_quiet_worker_is_quiet(bench, tmp_path):
    bench.suite("passes")
    assert bench.run_apart("-n", "2", "-q", store=tmp_path / "store").errlines == []
