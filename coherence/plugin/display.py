"""Progress on the terminal while the model works: a bar for people, a line per stage for logs."""

from types import TracebackType

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Display:
    """Shows what is being measured. Silent in the workers of pytest-xdist, which have no terminal."""

    def __init__(self, config: pytest.Config) -> None:
        writer = config.get_terminal_writer()
        self._silent = hasattr(config, "workerinput") or config.option.verbose < 0
        self._live = writer.hasmarkup
        self._console = Console(file=writer._file, force_terminal=self._live, width=writer.fullwidth)
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Display":
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if self._silent:
            return
        if self._live:
            self._draw(what, done, total)
        elif done == total:
            self._console.print(f"coherence: {what}: {total} done", highlight=False)

    def warn(self, sentence: str) -> None:
        """Show what a user should know about the machine, above the bar."""
        self._console.print(f"coherence: {sentence}", highlight=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, what: str, done: int, total: int) -> None:
        if self._bar is None:
            columns = (
                TextColumn("{task.description:<18}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console)
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)
