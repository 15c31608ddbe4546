"""`coherence completion`: what a shell needs to complete commands, and the answers that it then asks for."""

import os
from argparse import ArgumentParser, Namespace

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.errors import CoherenceError

SHELLS = ("bash", "zsh", "fish")


def answer(parser: ArgumentParser) -> None:
    """Output the shell that asks how a command line goes on, and end; where none asks, do nothing."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def _add(parser: Parser) -> None:
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise CoherenceError(
            "completion needs argcomplete; install it with pip install 'pytest-coherence[completion]'"
        ) from None
    script = shellcode(["coherence"], shell=options.shell)
    print(script)
    return Output({"shell": options.shell, "script": script})


COMMAND = Command(
    name="completion",
    help="print what a shell needs to complete commands",
    about="Evaluate what it prints where the shell starts, such as in ~/.bashrc. For fish, write it into "
    "~/.config/fish/completions/coherence.fish. Needs pytest-coherence[completion].",
    example='eval "$(coherence completion bash)"',
    add=_add,
)
