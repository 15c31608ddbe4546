"""Progress: a bar for people, a line per stage for logs."""

import time
from io import StringIO

import pytest
from rich.console import Console

from coherence.reports.bar import Bar


def drawn(terminal, silent=False):
    page = StringIO()
    with Bar(Console(file=page, force_terminal=terminal, width=80), silent) as bar:
        bar("replies", 0, 2)
        bar("replies", 1, 2)
        bar.warn("the disk is slow")
        bar("replies", 2, 2)
    return page.getvalue()


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


def test_a_log_hears_what_is_being_done_when_nothing_was_said_for_a_while(monkeypatch):
    monkeypatch.setattr("coherence.reports.bar.PULSE_S", 0.02)
    page = StringIO()
    with Bar(Console(file=page, force_terminal=False, width=80)) as bar:
        bar("laws", 1, 1)
        bar("replies", 1, 2)
        deadline = time.monotonic() + 5
        while page.getvalue().count("\n") < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = page.getvalue().splitlines()
    assert lines[0] == "coherence: laws: 1 done"
    assert set(lines[1:]) == {"coherence: 0:00 replies 1 of 2"}
