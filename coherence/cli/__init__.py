"""The `coherence` command: what is done once, outside a gate.

Each command is a module. None imports anything heavy before it runs, so that help, completion and mistakes
take no time.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from coherence import __version__
from coherence.cli import (
    bless,
    bom,
    calibrate,
    completion,
    demo,
    distill,
    doctor,
    explain,
    export,
    extract,
    fetch,
    init,
    judge,
    monitor,
    plan,
    replay,
    report,
    schema,
    sign,
    store,
    train,
    validate,
    verify,
)
from coherence.cli.command import Parser
from coherence.cli.output import Output, answered
from coherence.errors import told

# In the order in which they are met on the way from nothing to a gate.
COMMANDS = tuple(
    module.COMMAND
    for module in (
        demo,
        init,
        validate,
        plan,
        doctor,
        explain,
        calibrate,
        judge,
        extract,
        distill,
        train,
        export,
        monitor,
        report,
        replay,
        bless,
        sign,
        verify,
        bom,
        schema,
        store,
        fetch,
        completion,
    )
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it worked, 4 when it was asked for something it cannot do (as pytest does).

    1 when it looked at something that is not well: a suite with problems (`validate`), an installation or
    release that cannot work (`doctor`), files that were not judged (`verify`), damage (`store verify`), a law
    that is broken (`replay`).
    """
    parser = _parser()
    completion.answer(parser)
    options = parser.parse_args(arguments)
    try:
        return answered(options)
    except BrokenPipeError:  # whoever reads has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:
        print(f"coherence: {told(problem)}", file=sys.stderr)
        if options.json:
            with suppress(OSError):  # what is in the way may be that nothing can be written
                print(Output({"error": told(problem)}, 4).written(options.command))
        return 4


def _parser() -> Parser:
    parser = Parser(
        prog="coherence",
        description="The gate itself is `pytest --coherence SUITES`; commands do what is done around it.",
        epilog=f"example:\n  {init.COMMAND.example}",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser
