"""End runs by a signal, and see what each leaves: `python benchmarks/kills.py --signal TERM`."""

import json
import os
import shutil
import signal
import sys
import time
import traceback
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np
import pytest
from rounds import CONSOLE
from safetensors import safe_open
from safetensors.numpy import load_file
from stages import Reached, Stage, Teller
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
# What was left when each signal was published last.
KEPT = ROOT / "benchmarks" / "results" / "kills.json"
BEGIN, END = "<!-- begin: python benchmarks/kills.py --signal {} -->", "<!-- end -->"
RESULTS, JUNIT, PAGE_HTML = "results.json", "junit.xml", "report.html"
SIGNALS = ("TERM", "INT", "KILL")
STORES = ("empty", "full")
# After every so many a run goes on. It divides no number of stages and stores: each has its turn.
_EVERY = 11
_TIMED = 3
_LEAKED = 70
_PRINTED = 100
_NEVER = {
    _LEAKED: "pytest did not end it",
    pytest.ExitCode.INTERNAL_ERROR: "it ended as a bug of pytest would",
}
_COLUMNS = ("where the run was", "runs", "exit codes", "documents", "verdicts in them", "parts of files left")


@dataclass(frozen=True)
class Moment:
    """When a run is ended: after a share of the time that an undisturbed one takes for a stage."""

    stage: Stage
    store: str
    share: float


@dataclass(frozen=True)
class Left:
    """What a run that was ended left behind, and what the next one made of that."""

    stage: Stage
    """What it had come to when it was ended."""
    code: int
    documents: int
    judged: int
    missing: int
    parts: int
    faults: Sequence[str] = field(default=())
    """What must never be."""


def moments(count: int) -> list[Moment]:
    """Spread moments evenly over the stages, over both stores, and over the whole of each stage."""
    rounds = ceil(count / (len(Stage) * len(STORES)))
    spread = [
        Moment(stage, store, (number + 0.5) / rounds)
        for number in range(rounds)
        for store in STORES
        for stage in Stage
    ]
    return spread[:count]


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
        self._seconds = {
            "full": _fastest([self._run(self.warm) for _ in range(_TIMED)]),
            "empty": _fastest([self._run(folder / f"empty{number}") for number in range(_TIMED)]),
        }
        self.expected = said(Results.read(self._at(RESULTS)))

    def end(self, number: signal.Signals, moment: Moment) -> Left:
        """Send the signal when the run is where the moment says, which it tells itself."""
        self._tidy()
        store = self.folder / "store"
        if moment.store == "full":
            shutil.copytree(self.warm, store)
        child, told = self._start(store)
        with told:
            reached = _wait_for(moment.stage, told)
            due = reached.at + moment.share * self._seconds[moment.store][moment.stage]
            time.sleep(max(0.0, due - time.perf_counter()))
            stage = _latest(reached, told).stage
            os.kill(child, number)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return self._left(stage, code, store, number)

    def _left(self, stage: Stage, code: int, store: Path, number: signal.Signals) -> Left:
        faults = [*self._broken(), *self._never(code)]
        documents = sum(self._at(name).exists() for name in (RESULTS, JUNIT, PAGE_HTML))
        found = (
            Results.read(self._at(RESULTS)).assertions if self._at(RESULTS).exists() and not faults else ()
        )
        missing = [one for one in found if one.verdict is Verdict.ERROR]
        parts = [path for place in (self.folder / "run", store) for path in place.rglob("*.partial")]
        if number != signal.SIGKILL:
            faults += [f"{len(parts)} parts of files"] if parts else []
            faults += [f"{documents} documents"] if documents < 3 and (documents or stage) else []
            of_run = [one.family for one in found] == ["suite"]
            whole = {one.id for one in found} == set(self.expected)
            faults += ["not every assertion is there"] if found and not (whole or of_run) else []
            faults += ["what was selected is not told"] if of_run and stage > Stage.READING else []
        if (store / "v1").is_dir():
            faults += self._not_its_own(store)
        return Left(stage, code, documents, len(found) - len(missing), len(missing), len(parts), faults)

    def _never(self, code: int) -> Iterator[str]:
        """Say that a run ended as none may, with the end of what it printed."""
        if code in _NEVER:
            yield "\n".join([_NEVER[code], *self._at("output").read_text().splitlines()[-_PRINTED:]])

    def goes_on(self) -> Iterator[str]:
        """Let a run find what the last one left in its store; yield what it says otherwise."""
        self._run(self.folder / "store")
        if said(Results.read(self._at(RESULTS))) != self.expected:
            yield "the next run says something else"

    def _not_its_own(self, store: Path) -> Iterator[str]:
        """Yield entries that are not, byte for byte, those of an undisturbed run."""
        for entry in Store(store).entries():
            own = self.warm / entry.path.relative_to(store)
            if not own.is_file():
                yield f"{entry.path.name} has a key that no undisturbed run stores by: {_key(entry.path)}"
            elif own.read_bytes() != entry.path.read_bytes():
                yield f"{entry.path.name} is not what an undisturbed run stores: {apart(own, entry.path)}"

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

    def _run(self, store: Path) -> list[float]:
        """Let one run to its end; return the seconds of each stage."""
        child, told = self._start(store)
        reached: list[Reached] = []
        with told, suppress(EOFError):
            while True:
                reached.append(told.recv())
        _, status = os.waitpid(child, 0)
        ends = [*(one.at for one in reached[1:]), time.perf_counter()]
        if os.waitstatus_to_exitcode(status) not in (0, 1) or len(reached) != len(Stage):
            sys.exit(f"FAILED: an undisturbed run ended with {os.waitstatus_to_exitcode(status)}")
        return [end - one.at for one, end in zip(reached, ends, strict=True)]

    def _start(self, store: Path) -> tuple[int, Connection]:
        """Start a run; return its process, and what hears the stages that it comes to."""
        (self.folder / "run").mkdir(exist_ok=True)
        told, tell = Pipe(duplex=False)
        child = os.fork()
        if child:
            tell.close()
            return child, told
        told.close()
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
            os._exit(pytest.main([*given, str(self.suite)], plugins=[Teller(tell)]))
        except KeyboardInterrupt:  # outside of the session Ctrl-C ends a run as it ends any other program
            os._exit(128 + signal.SIGINT)
        except BaseException:  # it must not get to what this process cleans up
            traceback.print_exc()
            os._exit(_LEAKED)

    def _at(self, name: str) -> Path:
        return self.folder / "run" / name

    def _tidy(self) -> None:
        for path in (self.folder / "run", self.folder / "store"):
            shutil.rmtree(path, ignore_errors=True)


def _key(path: Path) -> str:
    with safe_open(path, framework="np") as file:
        return str(file.metadata())


def apart(own: Path, other: Path) -> str:
    """Tell two entries of one key apart: rounding, or another value."""
    values = [load_file(path)["value"] for path in (own, other)]
    shapes = {value.shape for value in values}
    numbers = len(shapes) == 1 and all(value.dtype.kind == "f" for value in values)
    how = f"at most {np.abs(np.subtract(*values)).max()} apart" if numbers else f"{values}"
    return f"{how}; {_key(other)}"


def said(results: Results) -> dict[str, str]:
    """Map the assertions to all that is said of them but the clock."""
    return {one.id: one.model_dump_json(exclude={"seconds"}) for one in results.assertions}


def _fastest(runs: Sequence[Sequence[float]]) -> list[float]:
    """Take the least seconds of each stage: a moment that comes after its end shows another one."""
    return [min(seconds) for seconds in zip(*runs, strict=True)]


def _wait_for(stage: Stage, told: Connection) -> Reached:
    reached: Reached = told.recv()
    while reached.stage < stage:
        reached = told.recv()
    return reached


def _latest(reached: Reached, told: Connection) -> Reached:
    """Return what the run has come to by now; it may have ended."""
    with suppress(EOFError):
        while told.poll():
            reached = told.recv()
    return reached


def ended(options: Namespace, number: signal.Signals) -> list[Left]:
    """End a run at each moment."""
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.workers)
        left = []
        for count, moment in enumerate(moments(options.moments)):
            left.append(bench.end(number, moment))
            if count % _EVERY == 0:
                left[-1] = replace(left[-1], faults=[*left[-1].faults, *bench.goes_on()])
            CONSOLE.print(
                f"{count + 1}/{options.moments}", moment.store, left[-1].stage.shown, *left[-1].faults
            )
        return left


def table(left: Sequence[Left]) -> Iterator[str]:
    """Make the lines of a table: runs that had come equally far together, in the order of the stages."""
    rows = [
        _row(stage, of_stage) for stage in Stage if (of_stage := [one for one in left if one.stage == stage])
    ]
    for row in (_COLUMNS, ["---"] * len(_COLUMNS), *rows):
        yield f"| {' | '.join(row)} |"


def _row(stage: Stage, left: Sequence[Left]) -> tuple[str, ...]:
    codes = ", ".join(f"{code} ({count})" for code, count in sorted(Counter(x.code for x in left).items()))
    documents, parts = [one.documents for one in left], [one.parts for one in left]
    judged, missing = [one.judged for one in left], [one.missing for one in left]
    counts = f"{_range(judged)} judged, {_range(missing)} errors" if any(documents) else ""
    whole = f"{_range(documents)}, whole" if any(documents) else "none"
    return stage.shown, str(len(left)), codes, whole, counts, _range(parts)


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def read_kept() -> dict[str, list[Left]]:
    """Read what was left when each signal was published last, by the name of the signal."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return {
        name: [Left(**one | {"stage": Stage(one["stage"])}) for one in left] for name, left in kept.items()
    }


def publish(name: str, left: Sequence[Left]) -> None:
    """Keep what was left, and put the table between the page's marks."""
    kept: Mapping[str, Sequence[Left]] = read_kept() | {name: list(left)}
    content = {one: [asdict(each) for each in kept[one]] for one in SIGNALS if one in kept}
    lines = ",\n".join(
        f'"{one}": [\n' + ",\n".join(map(json.dumps, each)) + "\n]" for one, each in content.items()
    )
    replace_file(KEPT, f"{{\n{lines}\n}}\n".encode())
    begin = BEGIN.format(name)
    before, rest = PAGE.read_text().split(begin)
    after = rest.split(END, 1)[1]
    shown = "\n".join(table(left))
    replace_file(PAGE, f"{before}{begin}\n\n{shown}\n\n{END}{after}".encode())


def main() -> int:
    """End the runs; 1 where one of them left what must never be."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--signal", choices=SIGNALS, default="TERM")
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--workers", type=int, default=0, help="of pytest-xdist; default: none")
    parser.add_argument("--publish", action="store_true", help="write the table into docs/robustness.md")
    options = parser.parse_args()
    left = ended(options, signal.Signals[f"SIG{options.signal}"])
    CONSOLE.print(*table(left), sep="\n", soft_wrap=True)
    faults = [fault for one in left for fault in one.faults]
    CONSOLE.print(*(["FAILED", *faults] if faults else ["every document was whole, every next run the same"]))
    if options.publish and not faults:
        publish(options.signal, left)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
