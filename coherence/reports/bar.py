"""Progress while the model works: a bar for people; a line per stage, and every half minute, for logs."""

import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

PULSE_S = 30.0


class Bar:
    """Shows what is being done on a console. In a log, no more than half a minute passes without a line."""

    def __init__(self, console: Console, silent: bool = False, pulsing: bool = True) -> None:
        self._console = console
        self._silent = silent
        self._pulse = _Pulse(self) if pulsing and not (silent or console.is_terminal) else None
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
        if self._pulse:
            self._pulse.reached(what, done, total)

    def warn(self, sentence: str) -> None:
        """Show what a user should know about the machine, above the bar."""
        self.say(sentence)

    def wait(self, sentence: str) -> None:
        """Show whom it waits for, where progress is shown."""
        if not self._silent:
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
        if self._pulse:
            self._pulse.stop()

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


class _Pulse:
    """Says on a thread of its own what is being done, when nothing was said for a while."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._left: dict[str, tuple[int, int]] = {}
        self._began = time.monotonic()
        self._over = Event()
        self._thread: Thread | None = None

    def reached(self, what: str, done: int, total: int) -> None:
        """Take down how far a stage is; the first one starts the thread."""
        self._left[what] = done, total
        if self._thread is None:
            self._thread = Thread(target=self._beat, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Fall silent."""
        self._over.set()

    def _beat(self) -> None:
        while not self._over.wait(PULSE_S):
            minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
            going = (
                f"{what} {done} of {total}"
                for what, (done, total) in self._left.copy().items()
                if done < total
            )
            self._bar.say(f"{minutes}:{seconds:02d} {', '.join(going) or 'going on'}")
