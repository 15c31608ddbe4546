"""What a command says to programs: one JSON object, whose fields stay what they are (docs/commands.md)."""

import json
import sys
from argparse import ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field
from math import isfinite

FORMAT = 1


@dataclass(frozen=True)
class Output:
    """What a command came to: fields for programs, and the exit code."""

    fields: Mapping[str, object] = field(default_factory=dict)
    code: int = 0

    def written(self, command: str) -> str:
        """Write it as one object; a number that JSON lacks, such as an endless interval's, is null."""
        whole = {"format": FORMAT, "command": command, "exit": self.code, **self.fields}
        return json.dumps(_plain(whole), indent=1, allow_nan=False)


def offer_json(parser: ArgumentParser) -> None:
    """Let a command, or each of its actions, be asked to answer a program."""
    for leaf in _leaves(parser):
        leaf.add_argument(
            "--json", action="store_true", help="answer with one JSON object; what people read goes to stderr"
        )
        leaf.set_defaults(command=leaf.prog.partition(" ")[2])


def answered(options: Namespace) -> int:
    """Run a command as it was asked to answer, and return its exit code."""
    with redirect_stdout(sys.stderr) if options.json else nullcontext():
        result = options.run(options)
    output = result if isinstance(result, Output) else Output(code=int(result or 0))
    if options.json:
        print(output.written(options.command))
    return output.code


def _leaves(parser: ArgumentParser) -> Iterator[ArgumentParser]:
    actions = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    for action in actions:
        for inner in action.choices.values():
            yield from _leaves(inner)
    if not actions:
        yield parser


def _plain(value: object) -> object:
    """Make what JSON has of what Python has."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)
