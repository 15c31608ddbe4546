"""`coherence fetch`: the reference model into the cache."""

from argparse import Namespace

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output


def _add(parser: Parser) -> None:
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.engine.artefacts.reference_model import reference_model

    folder = reference_model()
    print(f"the reference model is in {folder}")
    return Output({"model": folder})


COMMAND = Command(
    name="fetch",
    help="fetch the reference model into the cache",
    about="A run fetches it by itself where a suite names `base: reference`; this does it beforehand, "
    "such as for a machine that will be without a network. 93 MB are downloaded once.",
    example="coherence fetch",
    add=_add,
)
