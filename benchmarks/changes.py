"""Change a release in one place, again and again: `python benchmarks/changes.py --changes 10000`."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from rich.progress import track
from rounds import CONSOLE
from work import ROOT

from coherence.files import replace_file

sys.path.append(str(ROOT / "tests"))

from single_changes import SingleChanges

PAGE = ROOT / "docs" / "robustness.md"
BEGIN, END = "<!-- begin: python benchmarks/changes.py -->", "<!-- end -->"


def publish(said: str) -> None:
    """Put what was found between the page's marks."""
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END, 1)[1]
    replace_file(PAGE, f"{before}{BEGIN}\n\n{said}\n\n{END}{after}".encode())


def main() -> int:
    """Make the changes; 1 where a warm run would say something else than a cold one."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first change; each has the next one")
    parser.add_argument("--publish", action="store_true", help="write the count into docs/robustness.md")
    options = parser.parse_args()
    wrong = []
    with TemporaryDirectory() as folder:
        os.environ["COHERENCE_CACHE"] = f"{folder}/cache"
        release = SingleChanges(Path(folder) / "release")
        for seed in track(range(options.seed, options.seed + options.changes), console=CONSOLE):
            if found := release.check(Random(seed)):
                CONSOLE.print(f"seed {seed}: {found}")
                wrong.append(found)
    said = (
        f"{options.changes:,} changes: {options.changes - release.compared:,} changed every key of what they "
        f"changed, or were refused; after {release.compared:,} a key was what it was, and a cold run gave "
        f"what is stored; {len(wrong)} were served another value."
    )
    CONSOLE.print(said)
    if options.publish and not wrong:
        publish(said)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
