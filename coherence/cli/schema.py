"""`coherence schema`: the JSON schema of suites."""

import json
from argparse import Namespace

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output


def _add(parser: Parser) -> None:
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.suite.file import suite_file
    from coherence.suite.schema import schema

    written = schema(suite_file())
    print(json.dumps(written, indent=2))
    return Output({"schema": written})


COMMAND = Command(
    name="schema",
    help="print the JSON schema of suites",
    about="An editor that knows it completes and checks suites, with the properties that other packages add. "
    "The first line of a suite names it: # yaml-language-server: $schema=coherence.schema.json",
    example="coherence schema > coherence.schema.json",
    add=_add,
)
