"""End runs by a signal, and see what each leaves: `python benchmarks/kills.py --signal TERM`."""

import os
import shutil
import signal
import sys
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest
from rounds import CONSOLE
from tiny_release import write_release
from work import ROOT

# What every run needs is imported here, once: each is a fork of this process.
import coherence.plugin.session
import coherence.plugin.unjudged  # noqa: F401
from coherence.errors import CoherenceError
from coherence.files import replace_file
from coherence.results import Results
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Verdict

PAGE = ROOT / "docs" / "robustness.md"
BEGIN, END = "<!-- begin: python benchmarks/kills.py --signal {} -->", "<!-- end -->"
RESULTS, JUNIT, PAGE_HTML = "results.json", "junit.xml", "report.html"
_EVERY = 10
_TIMED = 3
_LEAKED = 70
_COLUMNS = ("where the run was", "runs", "exit codes", "documents", "verdicts in them", "parts of files left")


@dataclass(frozen=True)
class Left:
    """What a run that was ended left behind, and what the next one made of that."""

    code: int
    documents: tuple[str, ...]
    judged: int
    missing: int
    suites_read: bool
    parts: int
    faults: Sequence[str] = field(default=())
    """What must never be."""

    @property
    def where(self) -> str:
        """How far it had come."""
        if not self.documents:
            return "before the session, or before its reports"
        if not self.suites_read:
            return "reading the suites"
        if not self.judged:
            return "measuring"
        return "judging" if self.missing else "all was judged"


class Bench:
    """A release in a folder, what an undisturbed run says of it, and runs that are ended."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        self._workers = workers
        self.suite = write_release(folder / "release")
        self.warm = folder / "warm"
        # No fork has to build what reads suites. Nothing is measured here: threads do not survive a fork.
        load_suite(self.suite, Overrides())
        self._run(self.warm)
        # The fastest of a few: a moment that comes after the end of a run shows nothing.
        self.seconds = {
            "full": min(self._run(self.warm) for _ in range(_TIMED)),
            "empty": min(self._run(folder / f"empty{number}") for number in range(_TIMED)),
        }
        self.expected = said(Results.read(self._at(RESULTS)))

    def end(self, number: signal.Signals, kind: str, share: float) -> Left:
        """Send the signal after a share of the seconds that an undisturbed run takes."""
        self._tidy()
        store = self.folder / "store"
        if kind == "full":
            shutil.copytree(self.warm, store)
        child = self._start(store)
        time.sleep(share * self.seconds[kind])
        os.kill(child, number)
        return self._left(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), store, number)

    def _left(self, code: int, store: Path, number: signal.Signals) -> Left:
        faults = [*self._broken(), *(["pytest did not end it"] if code == _LEAKED else [])]
        documents = tuple(name for name in (RESULTS, JUNIT, PAGE_HTML) if self._at(name).exists())
        found = Results.read(self._at(RESULTS)).assertions if documents and not faults else ()
        missing = [one for one in found if one.verdict is Verdict.ERROR]
        parts = [path for place in (self.folder / "run", store) for path in place.rglob("*.partial")]
        if number != signal.SIGKILL:
            faults += [f"{len(parts)} parts of files"] if parts else []
            faults += [f"only {', '.join(documents)}"] if len(documents) in (1, 2) else []
            ours = {one.id for one in found} != set(self.expected) and found
            faults += ["not every assertion is there"] if ours and missing[0].family != "suite" else []
        if (store / "v1").is_dir():
            faults += self._not_its_own(store)
        read = not any(one.family == "suite" for one in found)
        return Left(code, documents, len(found) - len(missing), len(missing), read, len(parts), faults)

    def goes_on(self) -> Iterator[str]:
        """Let a run find what the last one left in its store; yield what it says otherwise."""
        self._run(self.folder / "store")
        if said(Results.read(self._at(RESULTS))) != self.expected:
            yield "the next run says something else"

    def _not_its_own(self, store: Path) -> Iterator[str]:
        """Yield entries that are not, byte for byte, those of an undisturbed run."""
        for entry in Store(store).entries():
            own = self.warm / entry.path.relative_to(store)
            if not own.is_file() or own.read_bytes() != entry.path.read_bytes():
                yield f"{entry.path.name} is not what an undisturbed run stores"

    def _broken(self) -> Iterator[str]:
        """Read every document that is there under its name."""
        try:
            if self._at(RESULTS).exists():
                Results.read(self._at(RESULTS))
            if self._at(JUNIT).exists():
                ElementTree.parse(self._at(JUNIT))
        except (CoherenceError, ElementTree.ParseError) as problem:
            yield str(problem)
        if self._at(PAGE_HTML).exists() and not self._at(PAGE_HTML).read_text().rstrip().endswith("</html>"):
            yield f"{PAGE_HTML} is not whole"

    def _run(self, store: Path) -> float:
        started = time.perf_counter()
        child = self._start(store)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            sys.exit(f"FAILED: an undisturbed run ended with {os.waitstatus_to_exitcode(status)}")
        return time.perf_counter() - started

    def _start(self, store: Path) -> int:
        (self.folder / "run").mkdir(exist_ok=True)
        child = os.fork()
        if child:
            return child
        os.chdir(self.folder / "run")
        silent = os.open("output", os.O_WRONLY | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(silent, stream)
        several = ["-pxdist", f"-n{self._workers}"] if self._workers else []
        written = [
            f"--coherence-{what}={name}"
            for what, name in {"results": RESULTS, "junit": JUNIT, "html": PAGE_HTML}.items()
        ]
        # No other plugin, whose import would take longer than the run.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        given = [
            "-pcoherence.plugin",
            "--coherence",
            f"--coherence-store={store}",
            "-pno:cacheprovider",
            *written,
            *several,
        ]
        try:
            os._exit(pytest.main([*given, str(self.suite)]))
        except BaseException:  # it must not get to what this process cleans up
            traceback.print_exc()
            os._exit(_LEAKED)

    def _at(self, name: str) -> Path:
        return self.folder / "run" / name

    def _tidy(self) -> None:
        for path in (self.folder / "run", self.folder / "store"):
            shutil.rmtree(path, ignore_errors=True)


def said(results: Results) -> dict[str, str]:
    """Map the assertions to all that is said of them but the clock."""
    return {one.id: one.model_dump_json(exclude={"seconds"}) for one in results.assertions}


def ended(options: Namespace, number: signal.Signals) -> list[Left]:
    """End runs at moments spread evenly over an undisturbed one: every other one finds its store full."""
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.workers)
        left = []
        for moment in range(options.moments):
            kind = ("empty", "full")[moment % 2]
            left.append(bench.end(number, kind, (moment + 0.5) / options.moments))
            if moment % _EVERY == 0:
                left[-1] = replace(left[-1], faults=[*left[-1].faults, *bench.goes_on()])
            CONSOLE.print(f"{moment + 1}/{options.moments}", kind, left[-1].where, *left[-1].faults)
        return left


def lines(left: Sequence[Left]) -> list[tuple[str, ...]]:
    """Put runs together that had come equally far, in the order in which a run comes there."""
    order = ("before the session, or before its reports", "reading the suites", "measuring", "judging")
    places = sorted({one.where for one in left}, key=[*order, "all was judged"].index)
    return [_line(place, [one for one in left if one.where == place]) for place in places]


def _line(place: str, left: Sequence[Left]) -> tuple[str, ...]:
    codes = ", ".join(f"{code} ({count})" for code, count in sorted(Counter(x.code for x in left).items()))
    whole = {len(one.documents) for one in left}
    judged = [one.judged for one in left]
    missing = [one.missing for one in left]
    counts = f"{_range(judged)} judged, {_range(missing)} errors" if any(whole) else ""
    documents = f"{_range(whole)}, whole" if any(whole) else "none"
    return place, str(len(left)), codes, documents, counts, _range([one.parts for one in left])


def _range(values: Sequence[int] | set[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def publish(name: str, left: Sequence[Left]) -> None:
    """Put the table between the page's marks."""
    begin = BEGIN.format(name)
    rows = [_COLUMNS, ["---"] * len(_COLUMNS), *lines(left)]
    shown = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    before, rest = PAGE.read_text().split(begin)
    after = rest.split(END, 1)[1]
    replace_file(PAGE, f"{before}{begin}\n\n{shown}\n{END}{after}".encode())


def main() -> int:
    """End the runs; 1 where one of them left what must never be."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--signal", choices=("TERM", "INT", "KILL"), default="TERM")
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--workers", type=int, default=0, help="of pytest-xdist; default: none")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/robustness.md")
    options = parser.parse_args()
    left = ended(options, signal.Signals[f"SIG{options.signal}"])
    for row in (_COLUMNS, *lines(left)):
        CONSOLE.print(" | ".join(row), soft_wrap=True)
    faults = [fault for one in left for fault in one.faults]
    CONSOLE.print(*(["FAILED", *faults] if faults else ["every document was whole, every next run the same"]))
    if options.publish and not faults:
        publish(options.signal, left)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
