"""Progress while the model works: one bar for people; in logs a line per stage, and one every half minute."""

import time
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.text import Text

from coherence.plan.workload import Work
from coherence.reports.pace import Pace, remaining
from coherence.results import AssertionResult

PULSE_S = 30.0
FIRST = "first batch"


class Bar:
    """Shows what is being done on a console, how far the run is and how long the rest takes.

    A verdict that is heard before the run has ended is shown as provisional: where it is not as expected, or
    in a log, or where `each` is wanted. In a log, no more than half a minute passes without a line.
    """

    def __init__(self, console: Console, silent: bool = False, each: bool = False) -> None:
        self._console = console
        self._silent = silent
        self._each = each or not console.is_terminal
        self._pulse = None if silent or console.is_terminal else _Pulse(self)
        self._drawn: Progress | None = None
        self._task = TaskID(0)
        self._pace = Pace()
        self._stage = ("", 0, 0)
        self._judged = self._red = self._to_judge = 0
        self._saying = Lock()

    @property
    def counts(self) -> bool:
        """Whether it shows how much arithmetic there is."""
        return not self._silent

    def __enter__(self) -> Self:
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if self._silent:
            return
        self._stage = what, done, total
        if done == total:
            if self._pace.is_at_first:
                self._pace.begin()
            if not self._console.is_terminal:
                self.say(f"{what}: {total} done")
        self._show()

    def expect(self, work: Work) -> None:
        """Show how far the run is by what is left of it from now on."""
        self._pace.expect(work)

    def made(self, work: Work) -> None:
        """Take in that so much of it is done."""
        self._pace.made(work)

    def judged(self, result: AssertionResult, done: int, total: int) -> None:
        """Show a verdict as it stands by itself, the `done`th of `total`, before that of all is known."""
        self._judged, self._to_judge = done, total
        self._red += not result.green
        if not self._silent and (self._each or not result.green):
            self.say(f"provisional, {done} of {total}: {result.sentence}")

    def warn(self, sentence: str) -> None:
        """Show what a user should know about the machine, above the bar."""
        self.say(sentence)

    def wait(self, sentence: str) -> None:
        """Show whom it waits for, where progress is shown."""
        if not self._silent:
            self.say(sentence)

    def say(self, sentence: str) -> None:
        """Print a sentence on a line of its own, above the bar, which stays where it is."""
        with self._saying:
            self._print(f"coherence: {sentence}")
        if self._pulse:
            self._pulse.put_off()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn is not None:
            self._drawn.stop()
            self._drawn = None
        if self._pulse:
            self._pulse.stop()

    @property
    def doing(self) -> str:
        """What is being done."""
        what, done, total = self._stage
        if self._pace.is_at_first and done == total:
            return FIRST
        return what

    @property
    def share(self) -> float:
        """How far the run is, from 0 to 1; or a stage, where nothing is expected of a run."""
        done, total = self.count
        return self._pace.share if self._pace.expects else done / total if total else 0.0

    @property
    def count(self) -> tuple[int, int]:
        """How many measurements are made, of how many; or what a stage counts."""
        return self._pace.measurements if self._pace.expects else self._stage[1:]

    @property
    def time_left(self) -> str:
        """How long the rest takes, or how long all took; nothing where nothing is expected."""
        if not self._pace.expects:
            return ""
        done, total = self.count
        return f"took {_clock(self._pace.took)}" if done == total else remaining(self._pace.seconds_left)

    @property
    def tally(self) -> str:
        """How many verdicts there are so far, of how many, and how many of them are not as expected."""
        if not self._to_judge:
            return ""
        red = f", {self._red} red" if self._red else ""
        return f"{self._judged}/{self._to_judge} judged{red}"

    def line(self) -> str:
        """Say all of it, for a log."""
        done, total = self.count
        far = f"{self.doing} {done} of {total}"
        if self._pace.expects:
            far = f"{self.doing}; {done} of {total} measurements, {self.share:.0%} of the arithmetic"
        return f"{_clock(self._pace.took)} {', '.join(filter(None, (far, self.time_left, self.tally)))}"

    def _print(self, line: str) -> None:
        """Print a line; what is said by two threads comes one after the other."""
        # A log has no width of its own.
        self._console.print(line, highlight=False, soft_wrap=not self._console.is_terminal)

    def _show(self) -> None:
        if self._pulse:
            self._pulse.start()
            return
        if self._drawn is None:
            columns = (_Said(self, "doing"), BarColumn(None), _Count(self), _Said(self, "time_left"))
            self._drawn = Progress(
                *columns, _Said(self, "tally"), console=self._console, expand=True, refresh_per_second=4
            )
            self._task = self._drawn.add_task("", total=1.0)
            self._drawn.start()
        self._drawn.update(self._task, completed=self.share)


class _Said(ProgressColumn):
    """A column with what a bar says of itself, as it is when it is drawn."""

    def __init__(self, bar: Bar, what: str) -> None:
        self._bar, self._what = bar, what
        super().__init__()

    def render(self, task: Task) -> Text:
        """Draw it."""
        return Text(getattr(self._bar, self._what), no_wrap=True)


class _Count(ProgressColumn):
    """A column with how many are done, of how many."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        super().__init__()

    def render(self, task: Task) -> Text:
        """Draw it."""
        return Text("{}/{}".format(*self._bar.count), no_wrap=True)


class _Pulse:
    """Says on a thread of its own what is being done, when nothing was said for a while."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._last_line_at = time.monotonic()
        self._over = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None:
            self._last_line_at = time.monotonic()
            self._thread = Thread(target=self._beat, daemon=True)
            self._thread.start()

    def put_off(self) -> None:
        """Hear that something was said."""
        self._last_line_at = time.monotonic()

    def stop(self) -> None:
        """Fall silent."""
        self._over.set()

    def _beat(self) -> None:
        while not self._over.wait(max(0.0, self._last_line_at + PULSE_S - time.monotonic())):
            if time.monotonic() - self._last_line_at >= PULSE_S:
                self._bar.say(self._bar.line())


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
