"""`coherence replay`: a counterexample of a report, measured again."""

from argparse import Namespace
from pathlib import Path

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import tell


def _add(parser: Parser) -> None:
    parser.add_argument("suite", type=Path, help="the suite that asserts it")
    parser.add_argument("assertion", help="id, as reports have it")
    parser.add_argument("example", help="JSON, as reports have it")
    arguments.add_release(parser)
    parser.add_argument("--dtype", metavar="DTYPE", help="as --coherence-dtype of the gate")
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.replay import replay
    from coherence.store import Store, store_root

    overrides = arguments.overrides_of(options, options.dtype)
    store = Store(store_root())
    replayed = replay(options.suite, options.assertion, options.example, overrides, store, tell)
    print(f"{replayed.says}\nexample: {replayed.example}")
    print(f"deviation {replayed.deviation:.2g}, tolerance {replayed.tolerance:g}: ", end="")
    print("broken" if replayed.broken else "holds")
    return Output(
        {
            "law": replayed.says,
            "example": replayed.example,
            "deviation": replayed.deviation,
            "tolerance": replayed.tolerance,
            "broken": replayed.broken,
        },
        int(replayed.broken),
    )


COMMAND = Command(
    name="replay",
    help="measure a counterexample of a report again",
    about="Measure one example of a law or claim: 0 when it holds, 1 when it is broken. Reports show the "
    "whole command below the sentence of what is broken.",
    example="coherence replay pirate.coherence.yaml release.commutativity.scale-zero "
    """'{"probe": "what-do-you-do-on-a-free-day", "condition": "adapter pirate", "weight": 1.0}'""",
    add=_add,
)
