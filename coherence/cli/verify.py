"""`coherence verify`: whether these files are what a run judged, and found well."""

from argparse import Namespace
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.doctor import looked_at
from coherence.cli.output import Output

if TYPE_CHECKING:
    from coherence.doctor.check import Check
    from coherence.doctor.verification import Verification


def _add(parser: Parser) -> None:
    arguments.add_results(parser)
    parser.add_argument(
        "--key", type=Path, metavar="PATH", help="public key that the document must be signed by"
    )
    parser.add_argument(
        "--release", type=Path, metavar="SUITE", help="suite whose whole release must be judged"
    )
    arguments.add_release(parser)
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from coherence.doctor.verification import Verification
    from coherence.results import Results

    # Read once: what is signed is what is believed.
    content = Results.content(options.results)
    verification = Verification(Results.parse(content, options.results))
    signed = _signed(options, content)
    return looked_at(chain(signed, [verification.verdicts()], _files(options, verification)), {"fail"})


def _signed(options: Namespace, content: bytes) -> "Iterator[Check]":
    from coherence.doctor.check import Check
    from coherence.signature import is_signed, signature_path, small_file

    path = signature_path(options.results)
    if options.key is None:
        if path.exists():
            yield Check("warn", "signature", f"{path} was not looked at", "--key names the public key")
    elif not path.exists():
        yield Check("fail", "signature", f"there is no {path}", "`coherence sign` makes one")
    elif is_signed(content, small_file(path), options.key):
        yield Check("ok", "signature", f"{path} is by the owner of {options.key}")
    else:
        yield Check(
            "fail", "signature", f"{path} is not for this document, or not by the owner of {options.key}"
        )


def _files(options: Namespace, verification: "Verification") -> "Iterator[Check]":
    from coherence.suite import load_suite

    overrides = arguments.overrides_of(options)
    if options.release:
        suite = load_suite(options.release, overrides)
        overrides.require_use([suite.scene.release])
        return verification.of_suite(suite)
    named = {"base": options.base} if options.base else {}
    named |= {f"adapter {name}": path for name, path in options.adapter}
    named |= {f"vector {name}": path for name, path in options.vector}
    return verification.of_files(named) if named else verification.of_run()


COMMAND = Command(
    name="verify",
    help="say whether files are those that were judged",
    about="Hold the files of a release against the digests in the results of a run: 0 when they are those "
    "that were judged and every verdict is as expected, 1 when not, with each file that differs. Without "
    "options the artefacts are looked for where the run found them. Nothing is downloaded.",
    example="coherence verify coherence-results.json --adapter pirate=./adapters/pirate --key public.pem",
    add=_add,
)
