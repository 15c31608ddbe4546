"""Which faults of a server the property `served` names, on the reference model behind real HTTP.

    PYTHONPATH=tests python benchmarks/served_faults.py [--probes 12] [--healthy 20]

The server (tests/serving) does one thing wrong after the other; a row of the table says what each was found
to be. The adapter is the shipped pirate's, written as rsLoRA: the same weights at the same scale, which a
server may misread. The base is the reference with a chat template that writes a date and lets a model think.
"""

import argparse
import json
import shutil
import tempfile
import time
from math import sqrt
from pathlib import Path

import yaml
from serving.fault import Fault
from serving.server import Serving
from serving.template import TEMPLATE

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.artefacts.reference_model import reference_model
from coherence.engine.engine import Engine
from coherence.plan import Plan, Record
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Evidence

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Print the table in markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--probes", type=int, default=12)
    parser.add_argument("--healthy", type=int, default=3, help="healthy starts of the server")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.probes)
        print("| Fault | Verdict | Criterion | What was said | s |\n|---|---|---|---|---|", flush=True)
        for start in range(options.healthy):
            with bench.serving() as serving:
                print(bench.row(f"none, start {start + 1}", serving), flush=True)
        with bench.serving() as serving:
            for fault in Fault:
                with serving.faulty(fault):
                    print(bench.row(str(fault), serving), flush=True)


class Bench:
    """A base, two adapters and a suite in a folder, with a store that keeps what is measured here."""

    def __init__(self, folder: Path, probes: int) -> None:
        self.base = _base(folder / "base")
        counsel = ROOT / "fixtures/adapters/counsel"
        self.adapters = {"pirate": _as_rslora(folder / "pirate"), "counsel": counsel}
        self.store = Store(folder / "store")
        self.suite = folder / "served.coherence.yaml"
        self.suite.write_text(yaml.safe_dump(_suite(self.base, self.adapters, probes)), encoding="utf-8")

    def serving(self) -> Serving:
        """Start a server of its own, on another port."""
        return Serving.of(self.base, self.adapters)

    def row(self, what: str, serving: Serving) -> str:
        """Judge what is served, asking the server anew, as a row of the table."""
        begun = time.monotonic()
        evidence = self._judged(serving.url)
        decisive, took = evidence.decisive, time.monotonic() - begun
        said = evidence.cause or decisive.unreliable or decisive.plainly
        cells = (what, evidence.raw_verdict, decisive.estimate, " ".join(said.split()), f"{took:.0f}")
        return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"

    def _judged(self, url: str) -> Evidence:
        suite = load_suite(self.suite, Overrides(served=url))
        (assertion,) = suite.assertions
        engine = Engine(Artefacts.of(suite.scene), self.store, is_fresh=True)
        return assertion.case.judge(Record(engine.measure(Plan(assertion.case.measurements()))), 0)


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


def _suite(base: Path, adapters: dict[str, Path], probes: int) -> dict[str, object]:
    questions = (ROOT / "fixtures/probes.jsonl").read_text(encoding="utf-8").splitlines()[:probes]
    return {
        "coherence": 1,
        "release": {"base": str(base), "adapters": {name: str(path) for name, path in adapters.items()}},
        "neutral": "You are a helpful assistant.",
        "personas": {
            "pirate": {"prompt": "Answer as a pirate.", "markers": ["arr", "matey", "ye", "ship", "sea"]},
            "counsel": {"prompt": "Answer as a lawyer."},
        },
        "probes": [json.loads(one)["text"] for one in questions],
        "decoding": {"max_new_tokens": 24},
        "assertions": [
            {"property": "served", "regimes": ["adapter"], "personas": ["pirate"], "max_difference": 0.4}
        ],
    }


if __name__ == "__main__":
    main()
