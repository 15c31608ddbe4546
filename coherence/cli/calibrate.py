"""`coherence calibrate`: thresholds of a suite, proposed from its release."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.show import show

if TYPE_CHECKING:
    from coherence.thresholds import Proposal


def _add(parser: Parser) -> None:
    parser.add_argument("suite", type=Path, help="a suite with claims")
    parser.add_argument(
        "--false-alarm",
        type=arguments.probability,
        default=0.05,
        metavar="P",
        help="how often as healthy a release may miss a threshold; default: %(default)s",
    )
    parser.add_argument(
        "--power",
        type=arguments.probability,
        default=0.9,
        metavar="P",
        help="how often a healthy release passes on the number of probes that is said to be needed; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--halves",
        type=arguments.several,
        default=40,
        metavar="N",
        help="how many random halves of the probes, scripts or tasks are judged; default: %(default)s",
    )
    parser.add_argument("--seed", type=int, help="default: the suite's")
    parser.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    parser.add_argument("--write", action="store_true", help="write the proposed thresholds into the suite")
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> None:
    from rich.console import Console

    from coherence.engine.artefacts import Artefacts
    from coherence.engine.engine import Engine
    from coherence.plan import Plan, Record
    from coherence.reports.bar import Bar
    from coherence.store import Store, store_root
    from coherence.suite import Overrides, load_suite
    from coherence.thresholds import WIDTH, Bench, Terms, proposals, shown

    suite = load_suite(options.suite, Overrides(seed=options.seed))
    terms = Terms(options.false_alarm, options.power, options.halves, suite.scene.seed)
    bench = Bench(suite, terms)
    artefacts = Artefacts(suite.scene.release, suite.scene.extracts, suite.places)
    with Bar(Console(stderr=True)) as bar:
        engine = Engine(artefacts, Store(options.store or store_root()), bar)
        record = Record(engine.measure(Plan(bench.needs())))
        found = list(proposals(bench.trials(record, bar), terms))
    show(lambda box: shown(found, box), WIDTH)
    print(terms)
    for entry, reason in bench.left_alone:
        print(f"{entry.place} {entry.name} {reason}: left alone")
    _change(options.suite, found, options.write)


def _change(path: Path, proposals: "Sequence[Proposal]", write: bool) -> None:
    from coherence.thresholds import change, rewrite

    if not (difference := change(path, proposals)):
        print("no threshold changes")
    elif write:
        rewrite(path, proposals)
        print(f"written into {path}")
    else:
        print(f"\n{difference.rstrip()}\n\nnothing is written; --write changes {path} so")


COMMAND = Command(
    name="calibrate",
    help="propose a suite's thresholds from its release",
    about="The release of the suite is taken to be healthy. Nothing is written without --write.",
    example="coherence calibrate pirate.coherence.yaml --halves 20",
    add=_add,
)
