"""The form that every command has, and how its parser speaks."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any, NoReturn

from coherence.cli.output import offer_json

if TYPE_CHECKING:
    from argparse import _SubParsersAction


class Parser(argparse.ArgumentParser):
    """Says a mistake in one sentence and ends with 4; keeps the lines of an example as they are."""

    def __init__(self, *, description: str | None = None, **settings: Any) -> None:  # noqa: ANN401
        lines = fill(description, 100, break_on_hyphens=False) if description else None
        super().__init__(description=lines, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and exit with 4, where argparse would with 2."""
        self.exit(4, f"{self.prog}: {message}; see {self.prog} --help\n")


@dataclass(frozen=True)
class Command:
    """A command: what it is for in a line, what to know of it, a command line to learn from.

    `add` gives its parser arguments, and the default `run`: a function of the parsed options that prints for
    people, and returns an `Output` for programs or an exit code (None: 0). Every command takes `--json`.
    """

    name: str
    help: str
    about: str
    example: str
    add: Callable[[Parser], None]

    def add_to(self, commands: "_SubParsersAction[Parser]") -> None:
        """Make the command's parser, with its arguments and its example below them."""
        epilog = f"example:\n  {self.example}"
        parser = commands.add_parser(self.name, help=self.help, description=self.about, epilog=epilog)
        self.add(parser)
        offer_json(parser)
