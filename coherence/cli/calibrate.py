"""`coherence calibrate`: thresholds of a suite, proposed from its release."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.releases import OWN, releases
from coherence.cli.show import show

if TYPE_CHECKING:
    from coherence.reports.bar import Bar
    from coherence.store import Store
    from coherence.suite import Suite
    from coherence.thresholds import Bench, Proposal
    from coherence.thresholds.proposal import Trial
    from coherence.vocabulary import Estimate


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
    parser.add_argument(
        "--release",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="another healthy release of the suite, such as one trained with another seed, as a file of the "
        "gate's options (--coherence-adapter=NAME=PATH), one a line; as often as there are some",
    )
    parser.add_argument("--seed", type=int, help="default: the suite's")
    parser.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    parser.add_argument("--write", action="store_true", help="write the proposed thresholds into the suite")
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from rich.console import Console

    from coherence.reports.bar import Bar
    from coherence.store import Store, store_root
    from coherence.thresholds import WIDTH, Bench, CalibrationTerms, proposals, shown

    suites = releases(options.suite, options.seed, options.release)
    seed = next(iter(suites.values())).scene.seed
    terms = CalibrationTerms(options.false_alarm, options.power, options.halves, seed)
    benches = {name: Bench(suite, terms, name) for name, suite in suites.items()}
    store = Store(options.store or store_root())
    with Bar(Console(stderr=True)) as bar:
        tried = (_tried(suite, benches[name], store, bar) for name, suite in suites.items())
        proposed = list(proposals(chain.from_iterable(tried), terms))
    show(lambda box: shown(proposed, box), WIDTH)
    print(terms if len(suites) == 1 else f"{terms}, {_rests_on([*suites])}")
    alone = [(f"{entry.place} {entry.name}", why) for entry, why in next(iter(benches.values())).left_alone]
    for name, reason in alone:
        print(f"{name} {reason}: left alone")
    difference = _change(options.suite, proposed, options.write)
    return Output(
        {
            "terms": asdict(terms),
            "releases": [name or OWN for name in suites],
            "proposals": [_fields(proposal) for proposal in proposed],
            "left_alone": [{"claim": name, "reason": reason} for name, reason in alone],
            "difference": difference,
            "written": bool(difference) and options.write,
        }
    )


def _fields(proposal: "Proposal") -> dict[str, object]:
    """Say a proposal to programs: what is written where, what is proposed, and what it rests on."""
    control = proposal.control
    return {
        "file": proposal.entry.place.file,
        "line": proposal.entry.place.line,
        "claim": proposal.entry.name,
        "key": proposal.key,
        "item": proposal.item,
        "current": proposal.current,
        "proposed": proposal.proposed,
        "margin": proposal.margin,
        "needed": proposal.needed,
        "weakest": _shown(proposal.weakest, proposal.release, proposal.estimate),
        "best_control": control
        and {"who": control.who, **_shown(control.assertion, control.release, control.estimate)},
        "notes": proposal.notes,
    }


def _shown(assertion: str, release: str | None, estimate: "Estimate") -> dict[str, object]:
    ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
    return {"assertion": assertion, "release": release, **ends}


def _tried(suite: "Suite", bench: "Bench", store: "Store", bar: "Bar") -> "Iterator[Trial]":
    """Measure one release and judge it."""
    from coherence.engine.artefacts.artefacts import Artefacts
    from coherence.engine.engine import Engine
    from coherence.plan import Plan, Record

    artefacts = Artefacts.of(suite.scene, suite.places)
    return bench.trials(Record(Engine(artefacts, store, bar).measure(Plan(bench.needs()))), bar)


def _rests_on(names: "Sequence[str | None]") -> str:
    """Say from how many differences it is known how far releases lie apart."""
    told = len(names) - 1
    named = ", ".join(str(name) for name in names)
    return f"{told + 1} releases ({named}), whose spread rests on {told} difference{'s' if told > 1 else ''}"


def _change(path: Path, proposals: "Sequence[Proposal]", write: bool) -> str:
    """Write the proposals into the suite, or show how it would change; return the difference."""
    from coherence.thresholds import change, rewrite

    if not (difference := change(path, proposals)):
        print("no threshold changes")
    elif write:
        rewrite(path, proposals)
        print(f"written into {path}")
    else:
        print(f"\n{difference.rstrip()}\n\nnothing is written; --write changes {path} so")
    return difference


COMMAND = Command(
    name="calibrate",
    help="propose a suite's thresholds from its release",
    about="The release of the suite is taken to be healthy, and so are others that are named. Nothing is "
    "written without --write.",
    example="coherence calibrate pirate.coherence.yaml --halves 20",
    add=_add,
)
