"""How the engine says what it is doing; who listens decides what it looks like."""

from typing import Protocol


class Progress(Protocol):
    """Called with what is being measured, how many are done and how many there are."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Report progress."""


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""
