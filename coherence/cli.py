"""The `coherence` command: what is done once, outside a gate."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from coherence import __version__
from coherence.errors import CoherenceError, SuiteError, did_you_mean
from coherence.vocabulary import Position, Regime, Site


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it worked, 4 when it was asked for something it cannot do (as pytest does)."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except CoherenceError as problem:
        print(f"coherence: {problem}", file=sys.stderr)
        return 4
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(4, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="coherence", description="The gate itself is `pytest --coherence SUITES`.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fetch = commands.add_parser("fetch", help="fetch the reference model into the cache")
    fetch.set_defaults(run=_fetch)

    extract = commands.add_parser(
        "extract",
        help="extract a persona's steering vector from its prompt",
        description="Mean difference of residuals under the persona's prompt and under the neutral one.",
    )
    extract.add_argument("suite", type=Path, help="a suite that has the persona")
    extract.add_argument("persona")
    extract.add_argument(
        "--against", metavar="PERSONA", help="the negative side; default: the neutral prompt"
    )
    extract.add_argument(
        "--site", type=_site, default="resid_post.15", help="where to read; default: %(default)s"
    )
    extract.add_argument(
        "--position",
        choices=[str(position) for position in Position],
        default=str(Position.RESPONSE_MEAN),
        help="which tokens; default: %(default)s, each side over replies of its own",
    )
    extract.add_argument(
        "--out", type=_vector_file, required=True, metavar="FILE", help="the .safetensors file to write"
    )
    extract.set_defaults(run=_extract)

    schema = commands.add_parser("schema", help="print the JSON schema of suites")
    schema.set_defaults(run=_schema)
    return parser


def _site(written: str) -> Site:
    try:
        return Site.parse(written)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _vector_file(written: str) -> Path:
    path = Path(written)
    if path.suffix != ".safetensors":
        raise argparse.ArgumentTypeError(f"found the ending {path.suffix!r}, expected .safetensors")
    return path


def _fetch(options: argparse.Namespace) -> None:
    from coherence.engine.reference import reference_model

    print(f"the reference model is in {reference_model()}")


def _schema(options: argparse.Namespace) -> None:
    from coherence.suite.schema import schema

    print(json.dumps(schema(), indent=2))


def _extract(options: argparse.Namespace) -> None:
    from coherence.engine.artefacts import Artefacts
    from coherence.engine.vectors import save_vector
    from coherence.engine.workshop import Workshop
    from coherence.plan import Extract
    from coherence.store import Store, store_root
    from coherence.suite import Overrides, load_suite

    suite = load_suite(options.suite, Overrides())
    for name in filter(None, (options.persona, options.against)):
        if name not in suite.scene.personas:
            raise SuiteError(
                f"{options.suite} has no persona {name!r}{did_you_mean(name, suite.scene.personas)}"
            )
    prompt, site = Regime.parse("prompt"), options.site
    negative = suite.scene.condition(options.against, prompt) if options.against else suite.scene.bare
    extract = Extract(
        suite.scene.condition(options.persona, prompt), negative, site, Position(options.position)
    )
    workshop = Workshop(Artefacts(suite.scene.release, {}, suite.places), Store(store_root()))
    values = workshop.extract(extract)
    about = {
        "persona": options.persona,
        "against": options.against or "neutral",
        "base": suite.scene.release.base,
    }
    save_vector(options.out, values, site, about)
    print(f"{options.out}: {options.persona} against {about['against']} at {site}, width {values.size}")
