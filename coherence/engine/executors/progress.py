"""How the engine tells what it is doing."""

from typing import Protocol

from coherence.plan.workload import Work


class Progress(Protocol):
    """Hears what is being measured (how much of it is done, of how much), and what a user should know."""

    @property
    def counts(self) -> bool:
        """Whether it shows how much arithmetic there is, which takes a moment to count."""
        ...

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report that `done` measurements of `total` of a kind, `what`, have been made."""

    def expect(self, work: Work) -> None:
        """Report all that is to be measured from now on."""

    def made(self, work: Work) -> None:
        """Report that so much of it is measured."""

    def warn(self, sentence: str) -> None:
        """Report what a user should know."""

    def wait(self, sentence: str) -> None:
        """Report whom it waits for."""


class Silent(Progress):
    """Shows nothing: neither progress nor sentences reach anybody. Who shows something derives from it."""

    counts = False

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show no progress."""

    def expect(self, work: Work) -> None:
        """Expect nothing."""

    def made(self, work: Work) -> None:
        """Show no progress."""

    def warn(self, sentence: str) -> None:
        """Drop the sentence."""

    def wait(self, sentence: str) -> None:
        """Wait in silence."""


SILENT = Silent()
