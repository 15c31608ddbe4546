"""`coherence demo`: a first verdict, on a release that is right and on one that is not."""

from argparse import Namespace
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.report import show_summary, verdicts
from coherence.cli.show import tell
from coherence.cli.writing import writing

if TYPE_CHECKING:
    from coherence.reports.bar import Bar
    from coherence.results import Results
    from coherence.store import Store
    from coherence.suite import Suite

_PERSONA, _ANOTHER = "pirate", "counsel"


def _add(parser: Parser) -> None:
    parser.add_argument(
        "--html",
        type=Path,
        default=Path("coherence-demo.html"),
        metavar="PATH",
        help="the report on the wrong release; default: %(default)s",
    )
    parser.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    parser.set_defaults(run=_run)


def _run(options: Namespace) -> Output:
    from rich.console import Console

    from coherence.reports.bar import Bar
    from coherence.reports.html import write_html
    from coherence.store import Store, store_root
    from coherence.suite import Overrides, load_suite

    store = Store(options.store or store_root())
    with as_file(files("coherence") / "demo") as folder, Bar(Console(stderr=True)) as bar:
        suite = folder / "demo.coherence.yaml"
        tell(f"the release has an adapter for {_PERSONA}; is it the persona that its prompt makes?")
        right = _judged(load_suite(suite, Overrides()), store, bar)
        another = Overrides(adapters={_PERSONA: str(folder / "adapters" / _ANOTHER)})
        tell(f"the same, with the adapter of {_ANOTHER} under its name")
        wrong = _judged(load_suite(suite, another), store, bar)
    for results in (right, wrong):
        show_summary(results, None)
    with writing(options.html):
        write_html(wrong, options.html.absolute())
    print(f"\nThe right adapter {_told(right)}\nThe wrong adapter {_told(wrong)}")
    print(f"The report of the wrong one is {options.html}; `coherence init` begins a suite of your own.")
    releases = {"right": verdicts(right), "wrong": verdicts(wrong)}
    return Output({**releases, "html": options.html}, int(not _green(right) or _green(wrong)))


def _judged(suite: "Suite", store: "Store", bar: "Bar") -> "Results":
    from coherence.gate import Gate, results_of

    started = datetime.now(UTC)
    gate = Gate({suite: suite.assertions}, store, bar, heard=bar.judged)
    judged = [gate.judge(suite, assertion) for assertion in suite.assertions]
    return results_of(judged, started, suite.scene.seed)


def _told(results: "Results") -> str:
    """Say in a sentence what became of a release, and what was seen."""
    verdict = "passes" if _green(results) else "is stopped"
    facts = (one.evidence.fact for one in results.assertions if one.evidence and one.evidence.fact)
    return f"{verdict}: {'; '.join(facts)}."


def _green(results: "Results") -> bool:
    return all(one.green for one in results.assertions)


COMMAND = Command(
    name="demo",
    help="see a right and a wrong release judged, in a minute",
    about="Judge the reference model with the adapter of a pirate, and again with another persona's adapter "
    "under its name: 0 when the first passes and the second does not. The first time, the model is fetched "
    "and measured; what is measured is stored, and taken up by the gate.",
    example="coherence demo",
    add=_add,
)
