"""Progress while the model works: a bar for people, a line per stage for logs."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Bar:
    """Shows what is being done on a console."""

    def __init__(self, console: Console, silent: bool = False) -> None:
        self._console = console
        self._silent = silent
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if self._silent:
            return
        if self._console.is_terminal:
            self._draw(what, done, total)
        elif done == total:
            self.say(f"{what}: {total} done")

    def warn(self, sentence: str) -> None:
        """Show what a user should know about the machine, above the bar."""
        self.say(sentence)

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own, above the bar, which stays where it is."""
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
