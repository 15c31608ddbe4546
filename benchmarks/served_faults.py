"""Which faults of a server the property `served` names, on the reference model behind real HTTP.

    PYTHONPATH=tests python benchmarks/served_faults.py [--publish]

The server (tests/serving) does one thing wrong after the other; then it is healthy, and started 20 times in
other ways. The adapter of the faults is the shipped pirate's, written as rsLoRA: the same weights at the same
scale, which a server may misread. Its vector, as `coherence export --control-vector` writes it, is added by a
second server to all that it answers. The base is the reference with a chat template that writes a date and
lets a model think. What was judged is kept in benchmarks/results, so that a run goes on where one was ended;
`--publish` writes the tables into docs/served.md.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from gguf import GGUFReader
from serving.fault import Fault
from serving.served_model import ServedModel, Vector
from serving.server import Serving
from serving.template import TEMPLATE

from coherence import cli
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.reference_model import reference_model
from coherence.engine.engine import Engine
from coherence.plan import Plan, Record
from coherence.properties.case import Case
from coherence.served.address import Address
from coherence.served.client import Client, Patience
from coherence.served.server import Server
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Criterion, Evidence, Verdict

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/served_faults.json"
PAGE = ROOT / "docs/served.md"
BEGIN, END = "<!-- begin: python benchmarks/served_faults.py -->", "<!-- end -->"
PROBES = 12
FEWER = (4, 6, 8, 10)
"""Numbers of probes with which the same answers are judged again: with how many a fault is first seen."""
SCALES = (1.05, 1.1, 1.15, 1.25, 1.5)
PERSONAS = ("pirate", "counsel", "support", "oncall")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_DECODES = frozenset({Fault.REPETITION_PENALTY, Fault.WARM})
_BLOCKS = frozenset({Fault.NEXT_BLOCK, Fault.EVERY_BLOCK})
_WEIGHTS = _BLOCKS | {
    Fault.RSLORA_IGNORED,
    Fault.TIMES_RANK,
    Fault.DOUBLED,
    Fault.HALF_MODULES,
    Fault.FOUR_BITS,
}
_STEERED = "pirate-steered"


class Start(NamedTuple):
    """How a healthy server is started: whose adapter is asked, how it computes, how many requests at once."""

    persona: str
    dtype: str
    rows: int
    at_once: int

    def __str__(self) -> str:
        return f"{self.persona}, {self.dtype}, batches of {self.rows}, {self.at_once} at once"


STARTS = [
    *(Start(*one, 8) for one in product(PERSONAS, DTYPES, (1, 2))),
    *(Start(persona, "fp32", 1, 1) for persona in PERSONAS),
]


class Row(NamedTuple):
    """What came of one server; `first` is the least number of probes with the same verdict."""

    verdict: str
    estimate: str
    said: str
    first: int
    seconds: float


class Remembered(ServedModel):
    """Computes once what no fault has changed since: a server that does the same gives the same."""

    def prompt_log_probs(
        self, adapter: str | None, ids: Sequence[int], faults: Collection[Fault]
    ) -> list[float]:
        """Log-probability of each token but the first."""
        return self._log_probs(*self._asked(adapter, faults), tuple(ids), self.scale)

    def reply(
        self, adapter: str | None, ids: Sequence[int], settings: Mapping[str, Any], faults: Collection[Fault]
    ) -> list[int]:
        """Say tokens; what is drawn is drawn anew."""
        if settings["do_sample"]:
            return super().reply(adapter, ids, settings, faults)
        return self._reply(*self._asked(adapter, faults), tuple(ids), tuple(sorted(settings.items())))

    @cache  # noqa: B019
    def _log_probs(
        self, adapter: str | None, faults: frozenset[Fault], ids: tuple[int, ...], scale: float
    ) -> list[float]:
        return super().prompt_log_probs(adapter, ids, faults)

    @cache  # noqa: B019
    def _reply(
        self,
        adapter: str | None,
        faults: frozenset[Fault],
        ids: tuple[int, ...],
        settings: tuple[tuple[str, Any], ...],
    ) -> list[int]:
        return super().reply(adapter, ids, dict(settings), faults)

    def _asked(self, adapter: str | None, faults: Collection[Fault]) -> tuple[str | None, frozenset[Fault]]:
        wrong = _WEIGHTS.intersection(faults)
        if adapter is None or Fault.ADAPTER_IGNORED in faults:
            return None, wrong & {Fault.FOUR_BITS}
        return adapter, wrong


def main() -> None:
    """Judge what has not been judged, and print the tables in markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, help="where what is measured here is kept")
    parser.add_argument("--fresh", action="store_true", help="judge all anew")
    parser.add_argument("--publish", action="store_true", help=f"write the tables into {PAGE.name}")
    options = parser.parse_args()
    rows = {} if options.fresh or not RESULTS.exists() else _read()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.store or Path(folder) / "store")
        for what, row in bench.rows(rows.keys()):
            rows[what] = row
            print(what, *row, sep=" | ", flush=True)
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    tables = _tables(rows)
    print(tables)
    if options.publish:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END, 1)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}", encoding="utf-8")


class Bench:
    """A base, adapters and suites in a folder, with a store that keeps what is measured here."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.base = _base(folder / "base")
        self.shipped = {name: ROOT / "fixtures/adapters" / name for name in PERSONAS}
        self.misread = {"pirate": _as_rslora(folder / "pirate"), "counsel": self.shipped["counsel"]}
        self.store = Store(store)
        self.suite = folder / "served.coherence.yaml"

    def rows(self, judged: Collection[str]) -> Iterator[tuple[str, Row]]:
        """Judge every fault and every healthy start that has not been."""
        faults = [(str(fault), fault) for fault in Fault if str(fault) not in judged]
        scales = [(f"scale times {scale:g}", scale) for scale in SCALES]
        scales = [one for one in scales if one[0] not in judged]
        if faults or scales:
            model = Remembered(self.base, self.misread, vectors={_STEERED: self._vector()})
            with Serving(model) as serving, Serving(model, always=_STEERED) as steered:
                for what, fault in faults:
                    steered_at = steered.url if fault in _BLOCKS else None
                    with serving.faulty(fault), steered.faulty(fault):
                        yield (
                            what,
                            self.judged(
                                serving.url, self.misread, behaves=fault in _DECODES, steered=steered_at
                            ),
                        )
                for what, model.scale in scales:
                    yield what, self.judged(serving.url, self.misread)
        for dtype in DTYPES:
            starts = [one for one in STARTS if one.dtype == dtype and str(one) not in judged]
            if starts:
                yield from self._healthy(ServedModel(self.base, self.shipped, DTYPES[dtype]), starts)

    def judged(
        self,
        url: str,
        adapters: Mapping[str, Path],
        persona: str = "pirate",
        at_once: int = 8,
        behaves: bool = False,
        steered: str | None = None,
    ) -> Row:
        """Judge what is served, asking the server anew; then again with fewer of the probes.

        Its adapter, or its vector where there is a server that has it in all that it answers.
        """
        begun = time.monotonic()
        case, artefacts = self._case(url, adapters, persona, PROBES, behaves, steered)
        with Client(Address.parse(url), Patience(at_once=at_once)) as client:
            vars(artefacts)["server"] = Server(client)
            wanted = Plan((*case.measurements(), *case.needs_to_explain()))
            record = Record(Engine(artefacts, self.store, is_fresh=True).measure(wanted))
        took = time.monotonic() - begun
        evidence = case.judge(record, 0)
        fewer = (self._case(url, adapters, persona, n, behaves, steered)[0].judge(record, 0) for n in FEWER)
        first = next((n for n, one in zip(FEWER, fewer, strict=True) if _alike(one, evidence)), PROBES)
        return Row(str(evidence.raw_verdict), str(evidence.decisive.estimate), _said(evidence), first, took)

    def _healthy(self, model: ServedModel, starts: Sequence[Start]) -> Iterator[tuple[str, Row]]:
        for start in starts:
            model.rows = start.rows
            with Serving(model) as serving:
                yield str(start), self.judged(serving.url, self.shipped, start.persona, start.at_once)

    def _vector(self) -> Vector:
        """Export the pirate's vector, and read it as llama.cpp does."""
        self.suite.write_text(
            yaml.safe_dump(_suite(self.base, self.misread, "pirate", PROBES, False, "http://127.0.0.1:1")),
            encoding="utf-8",
        )
        file = self.suite.with_name("pirate.gguf")
        if code := cli.main(["export", str(self.suite), "pirate", "--control-vector", str(file)]):
            raise SystemExit(code)
        (tensor,) = GGUFReader(file).tensors
        return Vector(int(tensor.name.removeprefix("direction.")), torch.tensor(tensor.data))

    def _case(
        self,
        url: str,
        adapters: Mapping[str, Path],
        persona: str,
        probes: int,
        behaves: bool,
        steered: str | None = None,
    ) -> tuple[Case, Artefacts]:
        suite = _suite(self.base, adapters, persona, probes, behaves, steered)
        self.suite.write_text(yaml.safe_dump(suite), encoding="utf-8")
        loaded = load_suite(self.suite, Overrides(served=url))
        (assertion,) = loaded.assertions
        return assertion.case, Artefacts.of(loaded.scene)


def _alike(one: Evidence, other: Evidence) -> bool:
    return one.raw_verdict == other.raw_verdict and one.decisive.estimate.name == other.decisive.estimate.name


def _said(evidence: Evidence) -> str:
    decisive: Criterion = evidence.decisive
    if evidence.raw_verdict is Verdict.PASS:
        return str(evidence.fact)
    cause = evidence.cause or decisive.unreliable or decisive.plainly
    return " ".join(str(cause).split())


def _read() -> dict[str, Row]:
    written = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {what: Row(*row) for what, row in written.items()}


def _tables(rows: Mapping[str, Row]) -> str:
    planted = [*map(str, Fault), *(f"scale times {scale:g}" for scale in SCALES)]
    faults = [_line(what, *rows[what][:3], rows[what].first) for what in planted if what in rows]
    healthy = {str(one): rows[str(one)] for one in STARTS if str(one) in rows}
    stopped = sum(row.verdict != Verdict.PASS for row in healthy.values())
    starts = [_line(what, row.verdict, row.estimate, row.said) for what, row in healthy.items()]
    return "\n".join(
        [
            "| Fault | Verdict | Criterion that decides | What is said | Probes |\n|---|---|---|---|---|",
            *faults,
            f"\nOf {len(healthy)} healthy starts {stopped} are not green:\n",
            "| Start | Verdict | Criterion that decides | What is said |\n|---|---|---|---|",
            *starts,
        ]
    )


def _line(*cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def _base(folder: Path) -> Path:
    """Link the reference, with another chat template."""
    reference = reference_model(lambda what, done, total: None)
    folder.mkdir()
    for file in reference.iterdir():
        (folder / file.name).symlink_to(file)
    template = folder / "chat_template.jinja"
    template.unlink(missing_ok=True)
    template.write_text(TEMPLATE, encoding="utf-8")
    return folder


def _as_rslora(folder: Path) -> Path:
    """Write the pirate's adapter so that its scale is alpha / sqrt(r), the same number."""
    shutil.copytree(ROOT / "fixtures/adapters/pirate", folder)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    config |= {"use_rslora": True, "lora_alpha": config["lora_alpha"] / sqrt(config["r"])}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def _suite(
    base: Path,
    adapters: Mapping[str, Path],
    persona: str,
    probes: int,
    behaves: bool,
    steered: str | None = None,
) -> dict[str, object]:
    questions = (ROOT / "fixtures/probes.jsonl").read_text(encoding="utf-8").splitlines()[:probes]
    behaviour = {"max_difference": 0.5} if behaves else {}
    return {
        "coherence": 1,
        "date": date.today(),
        "release": {
            "base": str(base),
            "adapters": {name: str(path) for name, path in adapters.items()},
            "vectors": {persona: str(ROOT / f"fixtures/vectors/{persona}.safetensors")},
            "served": {"url": "http://127.0.0.1:1", "steered": {persona: steered} if steered else {}},
        },
        "neutral": "You are a helpful assistant.",
        "personas": {name: {"prompt": f"Answer as {name}.", "markers": ["the"]} for name in adapters},
        "probes": [json.loads(one)["text"] for one in questions],
        "decoding": {"max_new_tokens": 16},
        "assertions": [
            {
                "property": "served",
                "regimes": ["steering" if steered else "adapter"],
                "personas": [persona],
                **behaviour,
            }
        ],
    }


if __name__ == "__main__":
    main()
