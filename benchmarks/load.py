"""How much a suite may hold and how often a gate may run: time, memory and files, in docs/robustness.md.

`python benchmarks/load.py` tries all of it, on a tiny random model, or the part that is named. Every run is
a process of its own. 1 where something is not as expected.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from hostile import KINDS
from work import ROOT

from coherence.engine.artefacts.vectors import save_vector
from coherence.files import replace_file
from coherence.results import Results
from coherence.vocabulary import Site

sys.path.insert(0, str(ROOT / "tests"))
from tiny import WIDTH, model, tokenizer

PAGE = ROOT / "docs" / "robustness.md"
# What was found of each part when it was published last.
KEPT = ROOT / "benchmarks" / "results" / "load.json"
BEGIN, END = "<!-- begin: python benchmarks/load.py -->", "<!-- end -->"

PROBES, PERSONAS, ASSERTIONS = 100_000, 2_000, 5_000
SECONDS, MEGABYTES = 10.0, 1_000.0
HOSTILE_SECONDS, HOSTILE_MEGABYTES = 1.0, 200.0
"""What reading one of `hostile.KINDS` may take more than a plain suite does."""
SIZES = (500, 1_000, 2_000, 4_000)
GATES, WARM, GROWTH = 200, 20, 8.0
"""Gates in one process; those before memory is looked at; megabytes that it may grow by after them."""
SLACK = 1.25
QUESTIONS = 8
COHERENCE = [sys.executable, "-c", "import sys; from coherence.cli import main; sys.exit(main())"]
PYTEST = [sys.executable, "-m", "pytest"]
GATE = ["-p", "no:cacheprovider", "-q", "--coherence", "--coherence-inconclusive=warn"]
_NAMES = ("p0", "p1", "p2", "p3")


class Tried(NamedTuple):
    """What was tried, how often, what happened, what was expected, and whether it did."""

    what: str
    times: int
    found: str
    expected: str
    met: bool


def main() -> int:
    """Try what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--publish", action="store_true", help=f"write it into the table of {PAGE.name}")
    options = parser.parse_args()
    tried = {}
    for name in PARTS if options.part == "all" else [options.part]:
        tried[name] = list(_told(PARTS[name]()))
        if options.publish:
            _publish(name, tried[name])
    return int(not all(one.met for several in tried.values() for one in several))


def validate() -> Iterator[Tried]:
    """Check a suite as large as any may be, its assertions stated one by one or for many personas at once."""
    by_one = [_collinear(number, f"p{number % PERSONAS}") for number in range(ASSERTIONS)]
    by_many = [_collinear(0), _collinear(1), _collinear(2, *(f"p{number}" for number in range(1_000)))]
    for how, assertions in {"stated one by one": by_one, "stated for many personas": by_many}.items():
        with TemporaryDirectory() as folder:
            _large(Path(folder), assertions)
            spent = _run(Path(folder), [*COHERENCE, "validate", "a.coherence.yaml"])
        yield Tried(
            f"`coherence validate`: {PROBES:,} probes, {PERSONAS:,} personas, {ASSERTIONS:,} assertions, "
            f"{how}",
            1,
            f"{spent.seconds:.1f} s, at most {spent.megabytes:.0f} MB",
            f"{SECONDS:.0f} s, {MEGABYTES:,.0f} MB",
            spent.seconds < SECONDS and spent.megabytes < MEGABYTES,
        )


def hostile() -> Iterator[Tried]:
    """Check suites that are made to do harm, beside a plain one."""
    command = [*COHERENCE, "validate", "a.coherence.yaml"]
    with _release() as folder:
        _small(folder, 1)
        plain = _run(folder, command)
    for kind, write in KINDS.items():
        with TemporaryDirectory() as name:
            write(Path(name))
            spent = _run(Path(name), command, code=1)
        seconds, megabytes = spent.seconds - plain.seconds, spent.megabytes - plain.megabytes
        yield Tried(
            f"a hostile suite: {kind}",
            1,
            f"refused: {max(seconds, 0):.1f} s and {max(megabytes, 0):.0f} MB more than a plain one",
            f"{HOSTILE_SECONDS:.0f} s, {HOSTILE_MEGABYTES:.0f} MB",
            seconds < HOSTILE_SECONDS and megabytes < HOSTILE_MEGABYTES,
        )


def judging() -> Iterator[Tried]:
    """Judge more and more assertions about the same measurements."""
    spent: dict[int, Spent] = {}
    with _release() as folder:
        _small(folder, len(_NAMES))
        _gate(folder)  # measures all that the others need
        for size in SIZES:
            _small(folder, size)
            spent[size] = _gate(folder)
    first, *more = SIZES
    for size in more:
        seconds = [spent[one].seconds for one in (size, first)]
        grown, most = seconds[0] / seconds[1], SLACK * size * log(size) / (first * log(first))
        yield Tried(
            f"a warm gate of {size:,} assertions, beside one of {first}",
            1,
            f"{seconds[0]:.1f} s beside {seconds[1]:.1f} s: {grown:.1f} times; at most "
            f"{spent[size].megabytes:,.0f} MB beside {spent[first].megabytes:,.0f} MB",
            f"{most:.1f} times: as n log n grows, and a quarter more",
            grown < most,
        )


def soak() -> Iterator[Tried]:
    """Run gates one after the other in one process."""
    with _release() as folder:
        _small(folder, 4)
        _gate(folder)
        code = [
            sys.executable,
            str(Path(__file__).with_name("soak.py")),
            str(GATES),
            *_arguments("results.json"),
        ]
        told = subprocess.run(
            code, cwd=folder, env=_environment(folder), stdout=subprocess.PIPE, text=True, check=True
        )
    after = [json.loads(line) for line in told.stdout.splitlines()]
    first, last = after[WARM - 1], after[-1]
    yield Tried(
        "warm gates in one process, one after the other",
        len(after),
        f"{first['megabytes']:.0f} MB after {WARM}, {last['megabytes']:.0f} MB after the last; "
        f"{first['files']} and {last['files']} files open",
        f"{GROWTH:.0f} MB more, no file more",
        last["megabytes"] - first["megabytes"] < GROWTH and last["files"] <= first["files"],
    )


def neighbours() -> Iterator[Tried]:
    """Let two runs measure into one store while something else takes the processor."""
    with _release() as folder:
        _small(folder, 4)
        _gate(folder, store="alone")
        alone = _verdicts(folder / "results.json")
        names = ("first.json", "second.json")
        with _busy():
            runs = [
                subprocess.Popen(
                    [*PYTEST, *_arguments(name)],
                    cwd=folder,
                    env=_environment(folder),
                    stdout=subprocess.DEVNULL,
                )
                for name in names
            ]
            for run in runs:
                run.wait()
        same = sum(_verdicts(folder / name) == alone for name in names)
        kept, wanted = (len(list((folder / store).rglob("*.safetensors"))) for store in ("store", "alone"))
        whole = subprocess.run(
            [*COHERENCE, "store", "verify", "--store", "store"],
            cwd=folder,
            env=_environment(folder),
            stdout=subprocess.DEVNULL,
        )
    yield Tried(
        "runs at once on one empty store, with a busy neighbour",
        len(runs),
        f"{same} with the verdicts of a run alone; {kept} of {wanted} values stored, "
        f"{'some' if whole.returncode else 'none'} damaged",
        "the same verdicts, nothing lost",
        (same, kept, whole.returncode) == (len(runs), wanted, 0),
    )


PARTS = {"validate": validate, "hostile": hostile, "judging": judging, "soak": soak, "neighbours": neighbours}


class Spent(NamedTuple):
    """Seconds of the processor, which no neighbour changes much, and the most memory that was resident."""

    seconds: float
    megabytes: float


def _run(folder: Path, command: Sequence[str], code: int = 0) -> Spent:
    run = subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = run.stdout.read() if run.stdout else ""
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode != code or "Traceback" in said:
        raise SystemExit(f"FAILED: {' '.join(command)} ended with {run.returncode}:\n{said}")
    return Spent(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3)


def _gate(folder: Path, store: str = "store") -> Spent:
    return _run(folder, [*PYTEST, *_arguments("results.json", store)])


def _arguments(results: str, store: str = "store") -> list[str]:
    return [*GATE, f"--coherence-store={store}", f"--coherence-results={results}", "a.coherence.yaml"]


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "COHERENCE_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }


def _verdicts(path: Path) -> dict[str, str]:
    return {result.id: result.sentence for result in Results.read(path).assertions}


@contextmanager
def _busy() -> Iterator[None]:
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


@contextmanager
def _release() -> Iterator[Path]:
    """Make a folder with a tiny random base and four vectors."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        words = tokenizer()
        torch.manual_seed(0)
        model(words).save_pretrained(folder / "base")
        words.save_pretrained(folder / "base")
        for seed, name in enumerate(_NAMES):
            values = np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32)
            save_vector(folder / f"{name}.safetensors", values, Site.parse("resid_post.1"), {})
        yield folder


def _small(folder: Path, assertions: int) -> None:
    """Write a suite whose every assertion is about the same few measurements, and inconclusive."""
    stated = [_collinear(number, _NAMES[number % len(_NAMES)]) for number in range(assertions)]
    questions = json.dumps([f"What is {number}?" for number in range(QUESTIONS)])
    _write_suite(folder, _NAMES, questions, stated)


def _large(folder: Path, assertions: Sequence[str]) -> None:
    questions = (json.dumps({"id": f"q{number}", "text": f"What is {number}?"}) for number in range(PROBES))
    (folder / "probes.jsonl").write_text("\n".join(questions))
    names = [f"p{number}" for number in range(PERSONAS)]
    (folder / "base").mkdir()
    for name in names:
        (folder / f"{name}.safetensors").touch()
    _write_suite(folder, names, "probes.jsonl", assertions)


def _collinear(number: int, *personas: str) -> str:
    chosen = f", personas: [{', '.join(personas)}]" if personas else ""
    return (
        f"{{property: collinearity, id: a{number}, between: [prompt, steering], sites: resid_post.1, "
        f"min_cosine: {number % 97 / 100}, min_ceiling: 1{chosen}}}"
    )


def _write_suite(folder: Path, names: Sequence[str], probes: str, assertions: Sequence[str]) -> None:
    lines = [
        *("coherence: 1", "release:", "  base: ./base", "  vectors:"),
        *(f"    {name}: ./{name}.safetensors" for name in names),
        "personas:",
        *(f"  {name}: {{prompt: You are {name}.}}" for name in names),
        f"probes: {probes}",
        "decoding: {max_new_tokens: 4}",
        "assertions:",
        *(f"  - {assertion}" for assertion in assertions),
    ]
    (folder / "a.coherence.yaml").write_text("\n".join(lines))


def _told(several: Iterable[Tried]) -> Iterator[Tried]:
    for one in several:
        print(
            f"{'ok' if one.met else 'FAILED'}: {one.what} ({one.times}): {one.found}; expected {one.expected}"
        )
        yield one


def _publish(part: str, tried: Sequence[Tried]) -> None:
    """Keep what was found of a part, and put the table of all parts between the page's marks."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept[part] = [one._asdict() for one in tried]
    kept = {name: kept[name] for name in PARTS if name in kept}
    replace_file(KEPT, f"{json.dumps(kept, indent=1)}\n".encode())
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END, 1)
    lines = "\n".join(table([Tried(**one) for several in kept.values() for one in several]))
    replace_file(PAGE, f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}".encode())


def table(tried: Sequence[Tried]) -> Iterator[str]:
    """Make the lines of a table."""
    rows = [["tried", "times", "what happened", "expected at most"], ["---"] * 4]
    rows += [[one.what, f"{one.times:,}", one.found, one.expected] for one in tried]
    return (f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
