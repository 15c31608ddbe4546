"""Plant faults in the reference release, and judge each: `python benchmarks/faults.py --only vector`."""

import os
import re
import subprocess
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import torch
from healthy import VARIANTS, Variant
from matrix import RESULTS, Matrix, Row, publish, show
from planted import FAULTS, FEW, POLES, STORED, Fault
from planted_space import SPACE_FAULTS
from rich.progress import Progress as Display
from rich.progress import TaskID
from rounds import CONSOLE
from shipped import SUITES, Shipped
from work import ROOT

from coherence.engine.executors.progress import SILENT, Progress, Silent
from coherence.errors import CoherenceError
from coherence.gate import Gate
from coherence.plan import LawSearch
from coherence.results import AssertionResult
from coherence.store import Store, store_root
from coherence.suite import Assertion
from coherence.vocabulary import Verdict

_SEEDS_APART = 100
_MOST_RUNS = 1000


@dataclass(frozen=True)
class Trial:
    """A release that is to be judged once."""

    kind: str
    name: str
    size: str
    seed: int
    change: Callable[[Shipped], None]
    seconds: float
    carrier: str = ""
    laws: bool = False
    searches: bool = False
    variant: Variant | None = None
    suites: tuple[str, ...] = SUITES

    @property
    def digest(self) -> str:
        """Changes with the trial, and with everything that its verdict may depend on."""
        told = f"{_sources()} {self.kind} {self.name} {self.size} {self.seed}"
        return sha256(told.encode()).hexdigest()[:16]

    @property
    def key(self) -> tuple[str, str, str]:
        """What a row is known by, whatever has changed since it was judged."""
        return self.kind, self.name, self.size

    @property
    def surroundings(self) -> AbstractContextManager[object]:
        """What holds while it is measured."""
        return self.variant.surroundings if self.variant else nullcontext()

    @property
    def costs_at_first(self) -> float:
        """Seconds, if nothing of it is stored."""
        return self.variant.seconds if self.variant else self.seconds

    @property
    def shares_the_store(self) -> bool:
        """Whether its measurements have keys of their own."""
        return self.variant is None or self.variant.around is None


@cache
def _sources() -> str:
    files = [
        path
        for folder in ("coherence", "suites", "fixtures")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".yaml", ".jsonl", ".safetensors"}
    ]
    ours = [
        ROOT / "benchmarks" / name
        for name in ("lora.py", "shipped.py", "planted.py", "planted_space.py", "healthy.py")
    ]
    return sha256(b"".join(sha256(path.read_bytes()).digest() for path in [*files, *ours])).hexdigest()


def planted(fault: Fault, seed: int) -> Iterator[Trial]:
    """Each size of a fault."""
    for size in fault.sizes:

        def change(shipped: Shipped, size: float = size) -> None:
            fault.spoil(shipped, size)

        yield Trial(
            kind="fault",
            name=fault.name,
            size=fault.label(size),
            seed=seed,
            change=change,
            seconds=fault.seconds,
            carrier=fault.carrier,
            suites=fault.suites,
        )


def healthy(variants: Sequence[Variant], seed: int, runs: int) -> Iterator[Trial]:
    """Every variant once, then again with other seeds until there are `runs`, without laws."""

    def trial(variant: Variant, turn: int) -> Trial:
        apart = turn * _SEEDS_APART
        return Trial(
            kind="healthy",
            name=variant.name,
            size=f"seed + {apart}" if turn else "",
            seed=seed + apart,
            change=variant.change,
            seconds=STORED if turn else variant.seconds,
            laws=variant.laws and not turn,
            searches=not turn,
            variant=variant,
        )

    yield from (trial(variant, 0) for variant in variants)
    repeated = [variant for variant in variants if variant.around is None]
    for number in range(runs - len(variants)):
        yield trial(repeated[number % len(repeated)], 1 + number // len(repeated))


def trials(given: Namespace) -> list[Trial]:
    """List what was asked for; of a fault, --quick takes the full size."""
    faults = [
        trial
        for fault in (*FAULTS, *SPACE_FAULTS)
        for trial in list(planted(fault, given.seed))[-1 if given.quick else 0 :]
        if fault.seconds <= (POLES if given.quick else inf)
    ]
    variants = [variant for variant in VARIANTS if variant.seconds <= (POLES if given.quick else inf)]
    found = [*faults, *healthy(variants, given.seed, given.runs)]
    return [trial for trial in found if (given.only or "") in f"{trial.kind} {trial.name}"]


class _Shown(Silent):
    """Shows how far the measuring of one trial is."""

    def __init__(self, display: Display, task: TaskID) -> None:
        self._display, self._task = display, task

    def __call__(self, what: str, done: int, total: int) -> None:
        self._display.update(self._task, description=what, completed=done, total=total)

    def warn(self, sentence: str) -> None:
        self._display.console.print(sentence, style="yellow")

    def wait(self, sentence: str) -> None:
        self.warn(sentence)


def judge(trial: Trial, store: Store, progress: Progress = SILENT) -> list[AssertionResult]:
    """Let the gate judge a trial. A release that cannot be loaded is a CoherenceError."""
    with TemporaryDirectory() as folder, trial.surroundings:
        shipped = Shipped.good(Path(folder), trial.seed, trial.suites)
        trial.change(shipped)
        suites = shipped.load()
        selected = {suite: [one for one in suite.assertions if _judged(one, trial)] for suite in suites}
        own = store if trial.shares_the_store else Store(Path(folder) / "store")
        gate = Gate(selected, own, progress)
        return [gate.judge(suite, assertion) for suite, chosen in selected.items() for assertion in chosen]


def _judged(assertion: Assertion, trial: Trial) -> bool:
    # The laws hold whatever the artefacts are, and what is searched is a known incoherence, which takes a
    # minute to find again. Not to judge them under a fault can only hide a catch.
    if assertion.property.word() == "commutativity":
        return trial.laws
    return trial.searches or not any(isinstance(one, LawSearch) for one in assertion.case.measurements())


def row_of(trial: Trial, store: Store, known: frozenset[str], progress: Progress = SILENT) -> Row:
    """Judge a trial; `known` are assertions that are not green for the good release either."""
    started = time.perf_counter()
    red: dict[str, list[str]] = {}
    said, judged = "", 0
    try:
        results = judge(trial, store, progress)
    except CoherenceError as problem:
        red, said = {"refused": ["the suite"]}, str(problem)
    else:
        judged = len(results)
        for result in results:
            if not result.green and result.id not in known:
                red.setdefault(_kind(result), []).append(result.id)
                said = said or result.sentence
    seconds = round(time.perf_counter() - started, 1)
    return Row(
        digest=trial.digest,
        kind=trial.kind,
        name=trial.name,
        carrier=trial.carrier,
        size=trial.size,
        red=red,
        said=_told(said),
        judged=judged,
        seconds=seconds,
        commit=_commit(),
    )


def _kind(result: AssertionResult) -> str:
    """Say by what it was not green: its family, and of persona space the property."""
    if result.verdict is Verdict.ERROR:
        return "refused"
    return result.property or result.family if result.family == "space" else result.family


@cache
def _commit() -> str:
    """Name what is checked out; a `+` says that files are not as they were committed."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run(
        [*git, "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=True
    )
    changed = subprocess.run(
        [*git, "status", "--short", "coherence", "suites", "fixtures"], capture_output=True
    )
    return head.stdout.strip() + ("+" if changed.stdout else "")


def _told(said: str) -> str:
    """Leave out where this machine keeps the files."""
    return re.sub(rf"{re.escape(gettempdir())}/\w+/", "", said).replace(f"{ROOT}/", "")


def not_green(store: Store, seed: int, suites: Iterable[str], progress: Progress) -> frozenset[str]:
    """Judge the good release: what is not green there says nothing about a fault."""
    good = Trial("healthy", "the good release", "", seed, lambda shipped: None, FEW, suites=tuple(suites))
    found = [result for result in judge(good, store, progress) if not result.green]
    for result in found:
        CONSOLE.print(f"not green without any fault, and left out: {result.sentence}", style="yellow")
    return frozenset(result.id for result in found)


def run(given: Namespace) -> Matrix:
    """Judge what is not in the results yet, or was judged before something changed.

    They are written after every trial.
    """
    order = {trial.key: place for place, trial in enumerate(_everything(given.seed, _MOST_RUNS))}
    matrix = Matrix.read(RESULTS, _about(given))
    matrix.rows = [row for row in matrix.rows if row.key in order]
    # Earlier runs may have judged more healthy ones than this is asked for.
    planned = {trial.key for trial in _everything(given.seed, given.runs)}
    matrix.about["releases in all"] = str(len(planned.union(row.key for row in matrix.rows)))
    chosen = trials(given)
    if given.missing:
        judged = {row.key for row in matrix.rows}
        chosen = [trial for trial in chosen if trial.key not in judged]
    left = _left(chosen, matrix)
    store = Store(given.store)
    with Display(console=CONSOLE) as display:
        releases = display.add_task("releases", total=len(left))
        shown = _Shown(display, display.add_task("measured"))
        suites = dict.fromkeys(name for trial in left if trial.kind == "fault" for name in trial.suites)
        known = not_green(store, given.seed, suites, shown) if suites else frozenset()
        for trial in left:
            row = row_of(trial, store, known if trial.kind == "fault" else frozenset(), shown)
            matrix.put(row)
            matrix.rows.sort(key=lambda row: order[row.key])
            matrix.write(RESULTS)
            display.console.print(f"{row.name} {row.size}: {row.outcome} {row.by} ({row.seconds:.0f} s)")
            display.advance(releases)
    return matrix


def _about(given: Namespace) -> dict[str, str]:
    return {
        "model": "reference",
        "seed": str(given.seed),
        "threads": str(torch.get_num_threads()),
    }


def _left(wanted: Sequence[Trial], matrix: Matrix) -> list[Trial]:
    """Sort what went wrong, or was never judged, first; then faults, and what is cheap.

    Variants with another seed come after the run that measures.
    """
    done = {row.digest for row in matrix.rows}
    as_it_should = {row.key for row in matrix.rows if row.stopped == (row.kind == "fault")}
    left = [trial for trial in wanted if trial.digest not in done]
    minutes = sum(trial.seconds for trial in left) / 60
    CONSOLE.print(f"{len(wanted)} releases, {len(left)} to judge: about {minutes:.0f} minutes on two cores")

    def place(trial: Trial) -> tuple[bool, bool, bool, float]:
        return trial.key in as_it_should, trial.kind != "fault", trial.searches, trial.costs_at_first

    return sorted(left, key=place)


def _everything(seed: int, runs: int) -> list[Trial]:
    return trials(Namespace(seed=seed, runs=runs, quick=False, only=None))


def _runs(written: str) -> int:
    runs = int(written)
    if not 1 <= runs <= _MOST_RUNS:
        raise ArgumentTypeError(f"found {runs} runs, expected 1 to {_MOST_RUNS}")
    return runs


def main() -> None:
    """Judge, print the tables, and draw the page."""
    os.chdir(ROOT)
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="full sizes, and nothing that takes a minute")
    parser.add_argument("--missing", action="store_true", help="nothing that an earlier commit has judged")
    parser.add_argument("--only", metavar="NAME", help="faults and variants whose name has this in it")
    parser.add_argument("--runs", type=_runs, default=100, metavar="N", help="healthy runs; default 100")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the suites, and of all that is drawn; default 0"
    )
    parser.add_argument("--store", type=Path, default=store_root(), help="default: the user's own")
    matrix = run(parser.parse_args())
    show(matrix)
    publish(matrix)


if __name__ == "__main__":
    main()
