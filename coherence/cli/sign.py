"""`coherence sign`: the results of a run, vouched for by whoever owns a key."""

from argparse import Namespace
from pathlib import Path

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.show import tell
from coherence.cli.writing import writing


def _add(parser: Parser) -> None:
    arguments.add_results(parser)
    parser.add_argument("--key", type=Path, required=True, metavar="PATH", help="private Ed25519 key, in PEM")
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.files import replace_file
    from coherence.results import Results
    from coherence.signature import signature_of, signature_path

    content = Results.content(options.results)
    results = Results.parse(content, options.results)
    path = signature_path(options.results)
    signature = signature_of(content, options.key)
    with writing(path):
        replace_file(path, signature)
    print(f"{path} is written")
    if not results.green:
        tell("signed although not everything in it is as expected")
    return Output({"signature": path, "green": results.green})


COMMAND = Command(
    name="sign",
    help="sign the results of a run",
    about="Write an Ed25519 signature beside the document, PATH.sig, which `coherence verify --key` asks "
    "for. openssl genpkey -algorithm ed25519 -out private.pem makes a key, and openssl pkey -in private.pem "
    "-pubout -out public.pem its public part. Needs pytest-coherence[sign].",
    example="coherence sign coherence-results.json --key private.pem",
    add=_add,
)
