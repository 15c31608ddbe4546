"""Progress: a bar for people, a line per stage for logs."""

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
