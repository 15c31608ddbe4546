"""`coherence fetch`: the reference model into the cache."""

from argparse import Namespace

from coherence.cli.command import Command, Parser


def _add(parser: Parser) -> None:
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> None:
    from coherence.engine.artefacts.reference_model import reference_model

    print(f"the reference model is in {reference_model()}")


COMMAND = Command(
    name="fetch",
    help="fetch the reference model into the cache",
    about="A run fetches it by itself where a suite names `base: reference`; this does it beforehand, "
    "such as for a machine that will be without a network. 93 MB are downloaded once.",
    example="coherence fetch",
    add=_add,
)
