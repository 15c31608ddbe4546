"""Feed coherence with mutants of what it reads: `python benchmarks/fuzz.py --seconds 120 --only suites`.

It must return, or raise an error of its own that is a sentence, within bounded time and memory.
"""

import json
import re
import shutil
import sys
import warnings
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from traceback import format_exc

from forked import SECONDS, Fate, fates
from fuzzed import KINDS, Kind
from work import ROOT

from coherence.errors import CoherenceError, UnforeseenError

# What became of each kind when it was published last.
RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
PAGE = ROOT / "docs" / "robustness.md"
BEGIN, END = "<!-- begin: python benchmarks/fuzz.py -->", "<!-- end -->"
_AT_ONCE = 200
_LONGEST = 2_000
_MOST_GROWN = 500_000_000


@dataclass
class Harvest:
    """What became of the mutants of a kind."""

    kind: str
    mutants: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    grown: int = 0
    wrong: dict[int, str] = field(default_factory=dict)

    def add(self, fate: Fate) -> None:
        """Count one."""
        self.mutants += 1
        self.seconds += fate.seconds
        self.slowest, self.grown = max(self.slowest, fate.seconds), max(self.grown, fate.grown)
        self.refused += fate.wrong == REFUSED
        if fate.wrong not in ("", REFUSED):
            self.wrong[fate.number] = fate.wrong
        elif fate.seconds > SECONDS or fate.grown > _MOST_GROWN:
            self.wrong[fate.number] = f"took {fate.seconds:.1f} s and {fate.grown / 1e6:.0f} MB"


REFUSED = "refused"


def harvest(kind: Kind, seed: int, mutants: int | None, seconds: float | None) -> Harvest:
    """Try mutants of a kind until there were so many, or the time is over."""
    found, started = Harvest(kind.name), monotonic()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")

        def call(number: int) -> str:
            return tried(kind, seed, number, Path(folder, str(number)))

        for first in count(0, _AT_ONCE):
            last = first + _AT_ONCE if mutants is None else min(mutants, first + _AT_ONCE)
            for fate in fates(call, range(first, last)):
                found.add(fate)
                if seconds is not None and monotonic() - started > seconds:
                    return found
            if last == mutants:
                return found
    raise AssertionError


def tried(kind: Kind, seed: int, number: int, folder: Path, keep: bool = False) -> str:
    """Make a mutant and read it; return what went wrong, that it was refused as it should, or nothing."""
    folder.mkdir()
    random = Random(f"{seed} {kind.name} {number}")
    kind.write(random, folder)
    try:
        return read(kind, random, folder)
    finally:
        if not keep:
            shutil.rmtree(folder)


def read(kind: Kind, random: Random, folder: Path) -> str:
    """Read a mutant; return as `tried` does."""
    try:
        kind.read(random, folder)
    except UnforeseenError as problem:
        return f"not foreseen: {problem}"
    except CoherenceError as problem:
        return _spoken(str(problem))
    except BaseException:
        return format_exc()
    return ""


def _spoken(sentence: str) -> str:
    """Say what is wrong with the sentence of an error."""
    if "is a mistake of coherence" in sentence:
        return f"not foreseen: {sentence}"
    if "out of memory" in sentence or "allocate memory" in sentence:
        return f"asked for too much memory: {sentence}"
    lines = sentence.split("\n")
    if max(map(len, lines)) > _LONGEST:
        return f"says too much: {sentence[:_LONGEST]}"
    if not all(line.isprintable() for line in lines):
        return f"shows control characters: {sentence!r}"
    return REFUSED


def table(found: list[Harvest]) -> Iterator[str]:
    """Make the lines of a table."""
    yield "| Kind | Mutants | Refused in a sentence | Read | Found | Minutes | Slowest |"
    yield "|---|---|---|---|---|---|---|"
    for one in found:
        read = one.mutants - one.refused - len(one.wrong)
        yield (
            f"| {one.kind} | {one.mutants:,} | {one.refused:,} | {read:,} | {len(one.wrong)} "
            f"| {one.seconds / 60:.1f} | {one.slowest:.1f} s |"
        )


def show(one: Harvest) -> None:
    """Print what went wrong, once for each thing that does."""
    print(f"{one.kind}: {one.mutants} mutants, {len(one.wrong)} wrong, {one.seconds:.0f} s", flush=True)
    last = {number: _last_line(wrong) for number, wrong in one.wrong.items()}
    for said, times in Counter(last.values()).most_common():
        number = next(number for number, line in last.items() if line == said)
        print(f"--- {times} times, the first is {number}:\n{one.wrong[number].strip()}", flush=True)


def _last_line(wrong: str) -> str:
    return re.sub(r"[0-9]+|'.*'", "", wrong.strip().splitlines()[-1])[:80]


def publish(found: Harvest) -> None:
    """Keep what became of a kind, and write the table of all of them into its page."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[found.kind] = asdict(found)
    RESULTS.write_text(
        json.dumps({kind.name: kept[kind.name] for kind in KINDS if kind.name in kept}, indent=1)
    )
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(table([Harvest(**one) for one in kept.values()]))
    PAGE.write_text(f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}")


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, help="for all kinds together")
    parser.add_argument("--mutants", type=int, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=[kind.name for kind in KINDS], action="append")
    parser.add_argument("--number", type=int, help="try one mutant of --only, and keep it in ./mutant")
    parser.add_argument("--publish", action="store_true", help=f"write the table into {PAGE.name}")
    return parser.parse_args()


def main() -> int:
    """Return 1 where anything went wrong."""
    options = _options()
    kinds = [kind for kind in KINDS if not options.only or kind.name in options.only]
    if options.number is not None:
        print(tried(kinds[0], options.seed, options.number, Path("mutant"), keep=True))
        return 0
    seconds = None if options.seconds is None else options.seconds / len(kinds)
    if seconds is None and options.mutants is None:
        seconds = 120 / len(kinds)
    found = []
    for kind in kinds:
        found.append(harvest(kind, options.seed, options.mutants, seconds))
        show(found[-1])
        if options.publish:
            publish(found[-1])
    print("\n".join(table(found)))
    return int(any(one.wrong for one in found))


if __name__ == "__main__":
    sys.exit(main())
