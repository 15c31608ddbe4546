"""How the engine tells what it is doing."""

from typing import Protocol


class Progress(Protocol):
    """Hears what is being measured (how much of it is done, of how much), and what a user should know."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report that `done` measurements of `total` of a kind, `what`, have been made."""

    def warn(self, sentence: str) -> None:
        """Report what a user should know."""

    def wait(self, sentence: str) -> None:
        """Report whom it waits for."""


class Silent(Progress):
    """Shows nothing: neither progress nor sentences reach anybody. Who shows something derives from it."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show no progress."""

    def warn(self, sentence: str) -> None:
        """Drop the sentence."""

    def wait(self, sentence: str) -> None:
        """Wait in silence."""


SILENT = Silent()
