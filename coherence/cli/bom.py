"""`coherence bom`: a bill of materials of what a run judged."""

import json
from argparse import Namespace

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output


def _add(parser: Parser) -> None:
    arguments.add_results(parser)
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.reports.bom import bill_of_materials
    from coherence.results import Results

    bill = bill_of_materials(Results.read(options.results))
    print(bill)
    return Output({"bom": json.loads(bill)})


COMMAND = Command(
    name="bom",
    help="print a bill of materials of what was judged",
    about="Every artefact of the release with the sha256 of its files, the libraries that measured it, and "
    "its criteria as a model card, in CycloneDX 1.6 (ML-BOM). Needs pytest-coherence[bom].",
    example="coherence bom coherence-results.json > bom.json",
    add=_add,
)
