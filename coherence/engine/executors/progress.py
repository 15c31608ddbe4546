"""How the engine tells what it is doing."""

from typing import Protocol


class Progress(Protocol):
    """Hears what is being measured (how much of it is done, of how much), and what a user should know."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report progress."""

    def warn(self, sentence: str) -> None:
        """Report what a user should know."""


class _Silent:
    """Tells nobody."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Pass over it."""

    def warn(self, sentence: str) -> None:
        """Pass over it."""


SILENT: Progress = _Silent()
