"""Progress on the terminal of a run."""

import sys
from contextlib import AbstractContextManager, nullcontext

import pytest
from rich.console import Console

from coherence.plugin.xdist import is_worker
from coherence.reports.bar import Bar


def encoding() -> str:
    """Name what pytest's terminal can show. While nothing is captured, that terminal is stdout."""
    return getattr(sys.stdout, "encoding", None) or "ascii"


class Display(Bar):
    """On pytest's terminal. A worker of pytest-xdist, which has none, writes a log to stderr."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._is_worker = is_worker(config)
        console = Console(stderr=True, force_terminal=False) if self._is_worker else _terminal(config)
        super().__init__(console, silent=config.option.verbose < 0, each=config.option.verbose > 0)

    def wait(self, sentence: str) -> None:
        """Show whom a run waits for; workers of one run always wait for each other."""
        if not self._is_worker:
            super().wait(sentence)

    def _print(self, line: str) -> None:
        """Print past pytest's capturing."""
        with self._uncaptured():
            super()._print(line)

    def _uncaptured(self) -> AbstractContextManager[None]:
        capture = self._config.pluginmanager.getplugin("capturemanager") if self._is_worker else None
        return capture.global_and_fixture_disabled() if capture else nullcontext()


def _terminal(config: pytest.Config) -> Console:
    writer = config.get_terminal_writer()
    return Console(file=sys.stdout, force_terminal=writer.hasmarkup, width=writer.fullwidth)
