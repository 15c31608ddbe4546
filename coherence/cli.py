"""The `coherence` command: what is done once, outside a gate."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from coherence import __version__
from coherence.errors import CoherenceError, SuiteError, did_you_mean
from coherence.vocabulary import Position, Regime, Site

if TYPE_CHECKING:
    from rich.box import Box
    from rich.console import RenderableType

    from coherence.store import Store
    from coherence.thresholds import Proposal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it worked, 4 when it was asked for something it cannot do (as pytest does).

    1 when `store verify` found damage.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except CoherenceError as problem:
        print(f"coherence: {problem}", file=sys.stderr)
        return 4


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

    _add_calibrate(commands.add_parser("calibrate", help="propose a suite's thresholds from its release"))

    schema = commands.add_parser("schema", help="print the JSON schema of suites")
    schema.set_defaults(run=_schema)

    _add_store(commands.add_parser("store", help="look after the store of measured values"))
    return parser


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The release of the suite is taken to be healthy. Nothing is written without --write."
    )
    parser.add_argument("suite", type=Path, help="a suite with claims")
    parser.add_argument(
        "--false-alarm",
        type=_probability,
        default=0.05,
        metavar="P",
        help="how often as healthy a release may miss a threshold; default: %(default)s",
    )
    parser.add_argument(
        "--power",
        type=_probability,
        default=0.9,
        metavar="P",
        help="how often a healthy release passes on the number of probes that is said to be needed; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--halves",
        type=_several,
        default=40,
        metavar="N",
        help="how many random halves of the probes are judged; default: %(default)s",
    )
    parser.add_argument("--seed", type=int, help="default: the suite's")
    parser.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    parser.add_argument("--write", action="store_true", help="write the proposed thresholds into the suite")
    parser.set_defaults(run=_calibrate)


def _add_store(parser: argparse.ArgumentParser) -> None:
    shared = _Parser(add_help=False)
    shared.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    listing = actions.add_parser("ls", parents=[shared], help="show what it holds, by kind and base")
    listing.set_defaults(run=_store_ls)

    verify = actions.add_parser("verify", parents=[shared], help="read every entry; 1 when some are damaged")
    verify.add_argument("--remove", action="store_true", help="remove the damaged ones, to be measured again")
    verify.set_defaults(run=_store_verify)

    prune = actions.add_parser("prune", parents=[shared], help="evict what was not used for longest")
    prune.add_argument(
        "--limit", type=_size, metavar="SIZE", help="such as 2GB; default: COHERENCE_STORE_SIZE, or 10GB"
    )
    prune.set_defaults(run=_store_prune)


def _size(written: str) -> int:
    from coherence.store.size import parse_size

    try:
        return parse_size(written)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _probability(written: str) -> float:
    try:
        found = float(written)
    except ValueError:
        found = -1.0
    if not 0 < found < 1:
        raise argparse.ArgumentTypeError(
            f"found {written!r}, expected a number between 0 and 1, such as 0.05"
        )
    return found


def _several(written: str) -> int:
    if not written.isdecimal() or int(written) < 10:
        raise argparse.ArgumentTypeError(f"found {written!r}, expected a number from 10, such as 40")
    return int(written)


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


def _tell(sentence: str) -> None:
    print(f"coherence: {sentence}", file=sys.stderr)


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
    workshop = Workshop(Artefacts(suite.scene.release, {}, suite.places), Store(store_root()), _tell)
    values = workshop.extract(extract)
    about = {
        "persona": options.persona,
        "against": options.against or "neutral",
        "base": suite.scene.release.base,
    }
    save_vector(options.out, values, site, about)
    print(f"{options.out}: {options.persona} against {about['against']} at {site}, width {values.size}")


def _calibrate(options: argparse.Namespace) -> None:
    from rich.console import Console

    from coherence.engine.artefacts import Artefacts
    from coherence.engine.engine import Engine
    from coherence.plan import Plan, Record
    from coherence.reports.bar import Bar
    from coherence.store import Store, store_root
    from coherence.suite import Overrides, load_suite
    from coherence.thresholds import WIDTH, Bench, Terms, shown

    suite = load_suite(options.suite, Overrides(seed=options.seed))
    terms = Terms(options.false_alarm, options.power, options.halves, suite.scene.seed)
    bench = Bench(suite, terms)
    artefacts = Artefacts(suite.scene.release, suite.scene.extracts, suite.places)
    with Bar(Console(stderr=True)) as bar:
        engine = Engine(artefacts, Store(options.store or store_root()), bar)
        record = Record(engine.measure(Plan(bench.needs())))
        proposals = list(bench.proposals(record, bar))
    _show(lambda box: shown(proposals, box), WIDTH)
    print(f"{terms}, {len(suite.scene.probes)} probes")
    for entry in bench.left_alone:
        print(f"{entry.place} {entry.name} is expected to fail: left alone")
    _change(options.suite, proposals, options.write)


def _change(path: Path, proposals: "Sequence[Proposal]", write: bool) -> None:
    from coherence.thresholds import change, rewrite

    if not (difference := change(path, proposals)):
        print("no threshold changes")
    elif write:
        rewrite(path, proposals)
        print(f"written into {path}")
    else:
        print(f"\n{difference.rstrip()}\n\nnothing is written; --write changes {path} so")


def _store(options: argparse.Namespace) -> "Store":
    from coherence.store import Store, store_root

    return Store(options.store or store_root())


def _store_ls(options: argparse.Namespace) -> None:
    from coherence.reports.plain import cell, table
    from coherence.store.contents import contents
    from coherence.store.size import readable

    store = _store(options)
    groups = contents(store.entries())

    def shown(box: "Box") -> "RenderableType":
        columns = "kind", "base", "entries", "size", "oldest use", "newest use"
        drawn = table(*columns, numbers=("entries", "size"), box=box)
        for group in groups:
            numbers = str(group.entries), readable(group.size), _minute(group.oldest), _minute(group.newest)
            drawn.add_row(*map(cell, (group.kind, group.base[:12], *numbers)))
        return drawn

    _show(shown, 100)
    entries, size = sum(group.entries for group in groups), sum(group.size for group in groups)
    print(f"{entries} entries, {readable(size)}, in {store.root}")


def _show(drawn: "Callable[[Box], RenderableType]", width: int) -> None:
    """Lines and colours for people; in logs plain text of a width of its own."""
    from rich.box import ASCII, SIMPLE_HEAD
    from rich.console import Console

    from coherence.reports.plain import rendered

    console = Console()
    if console.is_terminal:
        console.print(drawn(SIMPLE_HEAD))
    else:
        print(rendered(drawn(ASCII), width))


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _store_verify(options: argparse.Namespace) -> int:
    store = _store(options)
    entries = len(store.entries())
    damaged = list(store.damaged())
    for path, reason in damaged:
        print(f"{path}: {reason}")
    if options.remove:
        store.remove(path for path, _ in damaged)
    removed = " and removed" if damaged and options.remove else ""
    print(f"{len(damaged)} of {entries} entries are damaged{removed}")
    return 1 if damaged else 0


def _store_prune(options: argparse.Namespace) -> None:
    from coherence.store.size import readable, store_limit

    limit = store_limit() if options.limit is None else options.limit
    pruned = _store(options).prune(limit)
    left = readable(pruned.left) + (", used in the last hour" if pruned.left > limit else "")
    print(f"{pruned.entries} entries evicted, {readable(pruned.freed)} freed; left: {left}")
