"""`coherence schema`: the JSON schema of suites."""

import json
from argparse import Namespace

from coherence.cli.command import Command, Parser


def _add(parser: Parser) -> None:
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> None:
    from coherence.suite.file import suite_file
    from coherence.suite.schema import schema

    print(json.dumps(schema(suite_file()), indent=2))


COMMAND = Command(
    name="schema",
    help="print the JSON schema of suites",
    about="An editor that knows it completes and checks suites, with the properties that other packages add. "
    "The first line of a suite names it: # yaml-language-server: $schema=coherence.schema.json",
    example="coherence schema > coherence.schema.json",
    add=_add,
)
