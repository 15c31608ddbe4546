"""Progress: one bar for people, lines for logs."""

import re
import time
from io import StringIO

import pytest
from rich.console import Console

from coherence.plan.workload import Work
from coherence.reports.bar import FIRST, Bar
from coherence.results import AssertionResult
from coherence.vocabulary import Verdict


def result(name, verdict):
    return AssertionResult(
        id=name,
        persona="pirate",
        family="markers",
        suite="a.coherence.yaml",
        line=1,
        verdict=verdict,
        raw_verdict=verdict,
        sentence=f"{name} {verdict}",
    )


def drawn(terminal, silent=False):
    page = StringIO()
    with Bar(Console(file=page, force_terminal=terminal, width=80), silent) as bar:
        bar("replies", 0, 2)
        bar("replies", 1, 2)
        bar.warn("the disk is slow")
        bar("replies", 2, 2)
    return page.getvalue()


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_log_gets_a_line_for_each_stage():
    assert drawn(terminal=False) == "coherence: the disk is slow\ncoherence: replies: 2 done\n"


def test_a_terminal_gets_a_bar_that_is_put_away():
    text = drawn(terminal=True)
    assert "2/2" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_silence_keeps_warnings(terminal):
    text = drawn(terminal, silent=True)
    assert "the disk is slow" in text
    assert "replies" not in text


def test_loading_and_the_first_batch_are_told_apart():
    bar = Bar(Console(file=StringIO(), force_terminal=False))
    bar.expect(Work(2, read=10.0))
    bar("loading the model", 0, 1)
    assert bar.doing == "loading the model"
    bar("loading the model", 1, 1)
    assert (bar.doing, bar.time_left) == (FIRST, "time left not known yet")
    bar.made(Work(1, read=5.0))
    bar("replies", 1, 2)
    assert (bar.doing, bar.share, bar.count) == ("replies", 0.5, (1, 2))


def measured(page, terminal, each=False, width=80):
    """Two kinds of measurements of one run, and three verdicts."""
    console = Console(file=page, force_terminal=terminal, width=width)
    with Bar(console, each=each) as bar:
        bar.expect(Work(2, read=10.0, generated=30.0))
        bar("loading the model", 0, 1)
        bar("loading the model", 1, 1)
        bar.made(Work(1, read=10.0))
        bar("residuals", 1, 1)
        bar.judged(result("one", Verdict.PASS), 1, 3)
        bar.judged(result("two", Verdict.FAIL), 2, 3)
        assert bar.share == 0.25
        assert bar.tally == "2/3 judged, 1 red"
        bar.made(Work(1, generated=30.0))
        bar("replies", 1, 1)
        bar.judged(result("three", Verdict.PASS), 3, 3)


@pytest.mark.parametrize("width", [80, 100])
def test_one_bar_shows_the_whole_run(width):
    page = StringIO()
    measured(page, terminal=True, width=width)
    last = plain(page.getvalue()).rstrip().splitlines()[-1]
    assert re.search(r"^replies +━+ +2/2 took 0:00 3/3 judged, 1 red$", last.split("\r")[-1])
    assert len(last) <= width


def test_a_terminal_says_at_once_what_is_not_as_expected():
    page = StringIO()
    measured(page, terminal=True)
    assert re.findall("provisional, .*", plain(page.getvalue())) == ["provisional, 2 of 3: two fail"]


@pytest.mark.parametrize(("terminal", "each"), [(False, False), (True, True)])
def test_logs_and_who_wants_it_hear_of_each_verdict(terminal, each):
    page = StringIO()
    measured(page, terminal, each)
    said = re.findall("provisional, .*", plain(page.getvalue()))
    assert [line.split(": ")[1] for line in said] == ["one pass", "two fail", "three pass"]


def test_lines_of_a_log_are_as_long_as_they_are():
    page = StringIO()
    with Bar(Console(file=page, force_terminal=False, width=20)) as bar:
        bar.warn("one two three four five six seven")
    assert page.getvalue() == "coherence: one two three four five six seven\n"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("coherence.reports.bar.PULSE_S", 0.02)


def until(page, lines):
    deadline = time.monotonic() + 5
    while page.getvalue().count("\n") < lines and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_log_hears_how_far_the_run_is_when_nothing_was_said_for_a_while(impatient):
    page = StringIO()
    with Bar(Console(file=page, force_terminal=False, width=80)) as bar:
        bar.expect(Work(4, read=100.0))
        bar("loading the model", 0, 1)
        until(page, 1)
        bar("loading the model", 1, 1)
        bar.made(Work(1, read=3.0))
        bar.judged(result("one", Verdict.PASS), 1, 3)
        bar("replies", 1, 4)
        until(page, page.getvalue().count("\n") + 2)
    lines = page.getvalue().splitlines()
    unknown = "time left not known yet"
    assert (
        lines[0] == f"coherence: 0:00 loading the model; 0 of 4 measurements, 0% of the arithmetic, {unknown}"
    )
    assert lines[-1] == (
        f"coherence: 0:00 replies; 1 of 4 measurements, 3% of the arithmetic, {unknown}, 1/3 judged"
    )


def test_a_stage_by_itself_is_counted_in_a_log(impatient):
    page = StringIO()
    with Bar(Console(file=page, force_terminal=False, width=80)) as bar:
        bar("assertions judged", 1, 2)
        until(page, 1)
    assert set(page.getvalue().splitlines()) == {"coherence: 0:00 assertions judged 1 of 2"}


def test_a_log_that_hears_enough_hears_no_more(monkeypatch):
    monkeypatch.setattr("coherence.reports.bar.PULSE_S", 0.3)
    page = StringIO()
    with Bar(Console(file=page, force_terminal=False, width=80)) as bar:
        bar("replies", 1, 2)
        for _ in range(8):
            bar.warn("something")
            time.sleep(0.05)
    assert set(page.getvalue().splitlines()) == {"coherence: something"}
