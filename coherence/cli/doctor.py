"""`coherence doctor`: whether this installation, and a suite's release, can work."""

from argparse import Namespace
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output

if TYPE_CHECKING:
    from coherence.doctor.check import Check


def _add(parser: Parser) -> None:
    parser.add_argument(
        "suites", type=Path, nargs="*", metavar="SUITE", help="whose release is looked at too"
    )
    parser.add_argument("--served", metavar="URL", help="ask this server too, and hold suites against it")
    parser.add_argument("--key-env", metavar="NAME", help="variable of the environment with the server's key")
    parser.add_argument("--strict", action="store_true", help="1 for a warning, too")
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    bad = {"warn", "fail"} if options.strict else {"fail"}
    checks = _checks(options.suites, options.served)
    if options.served:
        checks = chain(checks, _of_server(options.served, options.key_env, options.suites))
    return looked_at(checks, bad)


def looked_at(checks: "Iterable[Check]", bad: Collection[str]) -> Output:
    """Show each check as it is made; 1 when the state of one is bad."""
    shown = []
    for check in checks:
        print(check, flush=True)
        shown.append(check)
    failed = any(check.state in bad for check in shown)
    return Output({"checks": [asdict(check) for check in shown]}, int(failed))


def _checks(suites: list[Path], url: str | None) -> "Iterator[Check]":
    from coherence.doctor.check import Check
    from coherence.doctor.installation import installation

    # Each is shown as it is made: what looks at torch may take its time, or never return.
    yield from installation()
    if suites:
        try:
            from coherence.doctor.release_checks import release
        except ImportError as problem:
            yield Check("fail", "suites", f"cannot be looked at: {problem}")
            return
        yield from chain.from_iterable(release(suite, url) for suite in suites)


def _of_server(url: str, key_env: str | None, suites: list[Path]) -> "Iterator[Check]":
    from coherence.doctor.served_checks import served, server

    reached = list(server(url, key_env))
    yield from reached
    if reached[0].state == "ok":
        for suite in suites:
            yield from served(suite, url, key_env)


COMMAND = Command(
    name="doctor",
    help="check the installation, and the artefacts of suites",
    about="A line for each thing that was looked at: ok, warn or fail, and what to do. 1 when something "
    "fails; with --strict, when something is not well. Weights of the base are not loaded, and nothing is "
    "downloaded, but with --served and a suite, which measures one adapter here and at the server.",
    example="coherence doctor pirate.coherence.yaml",
    add=_add,
)
