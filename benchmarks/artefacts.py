"""What becomes of every kind of artefact: `python benchmarks/artefacts.py --only vectors`."""

import json
import re
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from artefact_kinds import KINDS, Kind, Shipped, Tiny
from work import ROOT

from coherence.gate import Gate
from coherence.store import Store
from coherence.suite import Overrides, Suite, load_suite
from coherence.vocabulary import Verdict

PAGE = ROOT / "docs" / "artefacts.md"
BEGIN, END = "<!-- begin: python benchmarks/artefacts.py -->", "<!-- end -->"
_PROBES = "abcdefgh"
_OF_TEMPLATES = "the chat template "
# Groups of which the laws are told one by one.
OF_LAWS = ("Bases", "Quantized bases", "Adapters", "Kinds of adapters")
_SAID_OF = {Verdict.PASS: "held", Verdict.ERROR: "not held to", Verdict.FAIL: "broken"}


class Row(NamedTuple):
    """What became of an artefact, and what was said of it."""

    group: str
    name: str
    outcome: str
    said: str
    laws: str = ""

    def cells(self, laws: bool) -> str:
        """Spell it as a row of a table, with or without the laws that hold."""
        told = [self.name, self.outcome, *([self.laws] if laws else []), self.said]
        return f"| {' | '.join(cell.replace('|', '/') for cell in told)} |"


def rows(kinds: Iterable[Kind], folder: Path) -> Iterator[Row]:
    """Make and judge each, by the gate, on a tiny model."""
    tiny, store = Tiny.made(folder), Store(folder / "store")
    for number, kind in enumerate(kinds):
        own = folder / f"kind-{number}"
        own.mkdir()
        yield judged(kind, kind.make(tiny, own), own, store)


def judged(kind: Kind, shipped: Shipped, folder: Path, store: Store) -> Row:
    """Judge how a persona speaks by its artefact: whether that can be measured is all that matters."""
    suite = _suite(shipped, shipped.adapters, _markers(shipped), folder)
    gate = Gate({suite: suite.assertions}, store)
    (result,) = (gate.judge(suite, assertion) for assertion in suite.assertions)
    if result.evidence is None or result.verdict is Verdict.ERROR:
        return Row(kind.group, kind.name, "refused", _plain(result.sentence))
    notes = (
        note for note in result.evidence.notes if note.startswith((_OF_TEMPLATES, "adapter ", "vector "))
    )
    said = "; ".join(map(_plain, [*gate.remarks, *notes]))
    laws = held(shipped, folder, store) if kind.group in OF_LAWS else ""
    return Row(kind.group, kind.name, "measured", said, laws)


def held(shipped: Shipped, folder: Path, store: Store) -> str:
    """Search for examples that break the laws of composition: how many hold, and which are not held to."""
    both = {**shipped.adapters, **({"mate": shipped.mate} if shipped.mate else {})}
    suite = _suite(shipped, both, {"property": "commutativity", "examples": 1}, folder)
    gate = Gate({suite: suite.assertions}, store)
    verdicts = {one.case.slug: gate.judge(suite, one).verdict for one in suite.assertions}
    named: dict[str, list[str]] = {}
    for law, verdict in verdicts.items():
        named.setdefault(_SAID_OF.get(verdict, "not decided"), []).append(law)
    kept = len(named.pop(_SAID_OF[Verdict.PASS], []))
    return "; ".join(
        [f"{kept} of {len(verdicts)}", *(f"{said}: {', '.join(laws)}" for said, laws in named.items())]
    )


def _markers(shipped: Shipped) -> dict[str, object]:
    asked = {"property": "markers", "between": ["prompt", "adapter" if shipped.adapters else "steering"]}
    return asked | {"min_agreement": 0, "max_difference": 1, "min_recovery": 0, "personas": ["pirate"]}


def _suite(
    shipped: Shipped, adapters: Mapping[str, Path], asserted: Mapping[str, object], folder: Path
) -> Suite:
    release = {
        "base": str(shipped.base),
        "adapters": {name: str(path) for name, path in adapters.items()},
        "vectors": dict(shipped.vectors),
    }
    document = {
        "coherence": 1,
        "release": release,
        "personas": {name: {"prompt": f"Be a {name}.", "markers": [name]} for name in adapters or ["pirate"]},
        "probes": [f"{letter}?" for letter in _PROBES],
        "decoding": {"max_new_tokens": 2},
        "assertions": [asserted],
    }
    path = folder / "a.coherence.yaml"
    path.write_text(
        "\n".join([*(f"{key}: {json.dumps(value)}" for key, value in document.items()), shipped.says, ""])
    )
    return load_suite(path, Overrides())


def _plain(sentence: str) -> str:
    """Leave out what may be another one in every run: folders, lines, and what names the artefact."""
    why = sentence.partition(" could not be measured: ")[2] or sentence
    why = re.sub(r"^\S*a\.coherence\.yaml:\d+: ", "", why)
    why = re.sub(r"^((adapter|vector) 'pirate'|base '[^']*'): ", "", why)
    why = re.sub(r"^the vector 'pirate' \(.*?\) cannot be used: ", "", why)
    return re.sub(r"/[^\s']*/|, line \d+(?=\))", "", why)


def tables(found: Sequence[Row]) -> str:
    """Lay out a table for each group."""
    groups = dict.fromkeys(row.group for row in found)
    return "\n\n".join(_table(group, [row for row in found if row.group == group]) for group in groups)


def _table(group: str, found: Sequence[Row]) -> str:
    laws = group in OF_LAWS
    heads = ["kind", "what becomes of it", *(["laws that hold"] if laws else []), "what is said"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *(row.cells(laws) for row in found)]
    return "\n".join([f"### {group}", "", *lines])


def publish(found: Sequence[Row]) -> None:
    """Write the tables into the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(found)}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Print the rows that are asked for; all of them go into the page."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="groups and kinds with this text, printed only"
    )
    only = parser.parse_args().only.lower()
    with TemporaryDirectory() as folder:
        wanted = [kind for kind in KINDS if only in f"{kind.group} {kind.name}".lower()]
        found = []
        for row in rows(wanted, Path(folder).resolve()):
            print(row.cells(laws=True), flush=True)
            found.append(row)
    if not only:
        publish(found)


if __name__ == "__main__":
    main()
