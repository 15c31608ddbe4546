"""`coherence monitor`: conversations that were held elsewhere, held against a suite's personas."""

from argparse import Namespace
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from coherence.cli import arguments
from coherence.cli.command import Command, Parser
from coherence.cli.output import Output
from coherence.cli.report import show_summary, verdicts
from coherence.cli.show import tell
from coherence.cli.writing import writing
from coherence.errors import CoherenceError, Place

if TYPE_CHECKING:
    from coherence.monitor.standing import Standing
    from coherence.monitor.watch import Watch
    from coherence.suite import Suite
    from coherence.vocabulary import Site

DOCUMENT = Path("coherence-monitor.json")


def _add(parser: Parser) -> None:
    parser.add_argument(
        "transcripts", type=Path, help="a conversation a line, in the order of time: see docs/monitor.md"
    )
    parser.add_argument("--suite", type=Path, required=True, help="a suite with the personas that spoke")
    parser.add_argument(
        "--release",
        type=arguments.named,
        action="append",
        default=[],
        metavar="NAME=PERSONA",
        help="the persona that a release in the transcripts speaks for; repeatable; default: the names of "
        "the suite's `served`, and of its personas",
    )
    parser.add_argument(
        "--site",
        type=arguments.site,
        help="where replies are read; default: that of the suite's first assertion with a `site`",
    )
    parser.add_argument(
        "--false-alarm",
        type=arguments.probability,
        default=0.05,
        metavar="RATE",
        help="how often a run over personas that are at home may alarm; default: %(default)s",
    )
    parser.add_argument(
        "--max-outside",
        type=arguments.probability,
        metavar="SHARE",
        help="largest share of turns outside of a persona's region; default: it is shown alone",
    )
    parser.add_argument(
        "--last",
        action="store_true",
        help="read the last answer of each line alone: where a line is a call, with the conversation so far",
    )
    parser.add_argument(
        "--keep-text", action="store_true", help="write what was said into reports; default: digests alone"
    )
    parser.add_argument("--store", type=Path, metavar="PATH", help="default: the store in the user's cache")
    parser.add_argument("--results", type=Path, default=DOCUMENT, metavar="PATH", help="default: %(default)s")
    for view, what in _VIEWS.items():
        parser.add_argument(f"--{view}", type=Path, metavar="PATH", help=f"write {what}")
    parser.add_argument(
        "--turns", type=Path, metavar="PATH", help="write the numbers of every turn, a line each"
    )
    parser.set_defaults(run=_run)


_VIEWS = {
    "html": "a report to look at: one HTML file",
    "junit": "a JUnit report of the verdicts",
    "markdown": "a summary in markdown",
}


def _run(options: Namespace) -> Output:
    from rich.console import Console

    from coherence.reports.bar import Bar
    from coherence.reports.html import write_html
    from coherence.reports.junit import write_junit
    from coherence.reports.markdown import write_markdown
    from coherence.store import Store, store_root

    watch = _watch(options)
    with Bar(Console(stderr=True)) as bar:
        results, judged = watch.seen(Store(options.store or store_root()), bar)
    results = results.model_copy(update={"command": _spelled(options)})
    writers = {"html": write_html, "junit": write_junit, "markdown": write_markdown}
    written: dict[str, Path] = {"results": options.results}
    _write(results.write, options.results)
    for view, write in writers.items():
        if path := getattr(options, view):
            _write(partial(write, results), path)
            written[view] = path
    if options.turns:
        _write(partial(_write_turns, judged), options.turns)
        written["turns"] = options.turns
    for one in judged:
        for name, problem in one.heard.unread.items():
            tell(f"{options.transcripts}: {name} could not be read: {problem}")
    show_summary(results, options.results)
    return Output({**verdicts(results), "heard": _heard(judged), "written": written}, int(not results.green))


def _watch(options: Namespace) -> "Watch":
    from coherence.monitor.naming import Naming
    from coherence.monitor.transcripts import Transcripts
    from coherence.monitor.watch import Rules, Watch
    from coherence.suite import Overrides, load_suite

    suite = load_suite(options.suite, Overrides(), must_assert=False)
    naming = Naming.of(suite.scene, dict(options.release))
    rules = Rules(options.false_alarm, options.max_outside, options.keep_text)
    transcripts = Transcripts(options.transcripts, naming, options.last)
    return Watch(suite, transcripts, options.site or _site(suite), rules)


def _site(suite: "Suite") -> "Site":
    from coherence.vocabulary import Site

    sites = (getattr(assertion.property, "site", None) for assertion in suite.assertions)
    found = next((site for site in sites if isinstance(site, Site)), None)
    if found is None:
        raise CoherenceError(
            "has no assertion with a `site`; expected --site, such as --site resid_post.14",
            Place(str(suite.path)),
        )
    return found


def _spelled(options: Namespace) -> str:
    import shlex

    words: list[str] = ["coherence", "monitor", str(options.transcripts), "--suite", str(options.suite)]
    words += [word for name, persona in options.release for word in ("--release", f"{name}={persona}")]
    words += ["--site", str(options.site)] if options.site else []
    words += ["--false-alarm", f"{options.false_alarm:g}"]
    words += ["--max-outside", f"{options.max_outside:g}"] if options.max_outside else []
    words += ["--last"] if options.last else []
    return shlex.join(words)


def _write(write: Callable[[Path], None], path: Path) -> None:
    with writing(path):
        write(path.absolute())


def _write_turns(judged: "Iterable[Standing]", path: Path) -> None:
    from coherence.files import replacing
    from coherence.monitor.turn_lines import turn_lines

    with replacing(path) as partly, partly.open("x", encoding="utf-8") as file:
        file.writelines(turn_lines(judged))


def _heard(judged: "Iterable[Standing]") -> list[dict[str, object]]:
    return [
        {
            "persona": one.heard.persona,
            "conversations": one.heard.conversations,
            "turns": len(one.heard.turns),
            "unread": len(one.heard.unread),
            "outside": one.outside.value,
            "alarms": {
                chart.name: {"line": turn.line, "turn": turn.turn, "time": turn.time}
                for chart in one.charts
                if chart.alarm is not None
                for turn in [one.heard.turns[chart.alarm]]
            },
        }
        for one in judged
    ]


COMMAND = Command(
    name="monitor",
    help="hold conversations that were held elsewhere against a suite's personas",
    about="Reads what assistants said in production, lets them say nothing, and tells whether each persona "
    "is still at home: its position on its axis, whether it is recognised, how likely its prompt makes what "
    "it says, and its markers, each on a control chart. 1 when one has left home. Of what was said nothing "
    "is kept but numbers and digests, and what was read is not read again.",
    example="coherence monitor transcripts.jsonl --suite pirate.coherence.yaml --site resid_post.2",
    add=_add,
)
