"""Healthy variants: releases and runs that differ from the good one in nothing that should matter."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np
import torch
from planted import ALL, FEW, POLES, STORED, poles_only
from shipped import Shipped, base_weights, save_base
from work import ROOT

from coherence.engine.artefacts.reference_model import reference_model
from coherence.plan import CALIBRATION
from coherence.store import cache_root

sys.path.append(str(ROOT / "fixtures"))
import train

Change = Callable[[Shipped], None]
TRAINING = 150.0
"""Seconds on two cores."""


@dataclass(frozen=True)
class Variant:
    """One way to be as good. What is run `around` is not in its keys, so it gets a store of its own."""

    name: str
    change: Change = lambda shipped: None
    seconds: float = STORED
    laws: bool = False
    around: Callable[[], AbstractContextManager[object]] | None = None

    @property
    def surroundings(self) -> AbstractContextManager[object]:
        """What holds while the variant is measured."""
        return self.around() if self.around else nullcontext()


def _seeded(offset: int) -> Change:
    def change(shipped: Shipped) -> None:
        shipped.seed += offset

    return change


def _probes(path: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (ROOT / path).read_text().splitlines()]


def _own() -> list[dict[str, str]]:
    return _probes("fixtures/probes.jsonl")


def _further() -> list[dict[str, str]]:
    return _probes("fixtures/further.jsonl")


def _asked(probes: Callable[[], Sequence[dict[str, str]]]) -> Change:
    def change(shipped: Shipped) -> None:
        shipped.company["probes"] = list(probes())

    return change


def _shuffled(number: int) -> Change:
    return _asked(lambda: Random(number).sample(_own(), 24))


def _drawn(number: int, share: int = 24) -> Change:
    return _asked(lambda: Random(number).sample([*_own(), *_further()], share))


def _calibration() -> list[dict[str, str]]:
    return [{"id": probe.id, "text": probe.text} for probe in CALIBRATION]


def _templates() -> list[dict[str, str]]:
    """Every own probe in two wordings, which are one cluster."""
    return [
        {**probe, "id": f"{probe['id']}-{index}", "template": probe["id"], "text": prefix + probe["text"]}
        for probe in _own()
        for index, prefix in enumerate(("", "Hello! "))
    ]


def _noisy(name: str, share: float = 0.01) -> Change:
    return lambda shipped: shipped.set_lora(name, shipped.lora(name).noisy(share, shipped.seed))


def _merged_and_back(shipped: Shipped) -> None:
    shipped.set_lora("pirate", shipped.lora("pirate").merged_and_back(base_weights()))


def _in_float32(shipped: Shipped) -> None:
    shipped.set_lora("counsel", shipped.lora("counsel"))


def _in_eight_bits(shipped: Shipped) -> None:
    shipped.set_lora("support", shipped.lora("support").quantised(8))


def _as_full_rank(shipped: Shipped) -> None:
    shipped.set_lora("upbeat", shipped.lora("upbeat").of_rank(6))


def _longer_vector(shipped: Shipped) -> None:
    values, site = shipped.vector("pirate")
    shipped.set_vector("pirate", 3 * values, site)


def _noisy_vector(shipped: Shipped) -> None:
    values, site = shipped.vector("pirate")
    noise = np.random.default_rng(shipped.seed).standard_normal(values.size)
    noise *= 0.05 * np.linalg.norm(values) / np.linalg.norm(noise)
    shipped.set_vector("pirate", (values + noise).astype(np.float32), site)


def _dosed(times: float) -> Change:
    def change(shipped: Shipped) -> None:
        for persona in shipped.company["personas"].values():
            persona["dose"] = times * persona.get("dose", 0.5)

    return change


def _bfloat16(shipped: Shipped) -> None:
    shipped.company["release"]["dtype"] = "bfloat16"
    (laws,) = [
        asserted
        for suite in shipped.suites.values()
        for asserted in suite["assertions"]
        if asserted["property"] == "commutativity"
    ]
    # The default is for float32; see docs/suites.md.
    laws["tolerance"] = 0.05


def _resharded(shipped: Shipped) -> None:
    poles_only(shipped)

    def files(folder: Path) -> None:
        weights = base_weights()
        names = sorted(weights)
        parts = {
            "model-00001-of-00002.safetensors": names[::2],
            "model-00002-of-00002.safetensors": names[1::2],
        }
        for part, inside in parts.items():
            save_base(folder, {name: weights[name] for name in inside}, part)
        (folder / "model.safetensors").unlink()
        index = {
            "metadata": {},
            "weight_map": {name: part for part, inside in parts.items() for name in inside},
        }
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    shipped.set_base(files)


def _retrained(name: str, seed: int) -> Change:
    def change(shipped: Shipped) -> None:
        folder = cache_root() / "retrained" / f"{name}-{seed}"
        if not folder.is_dir():
            _train(name, seed, folder.with_name(f"{folder.name}.partial")).rename(folder)
        shipped.company["release"]["adapters"][name] = str(folder)

    return change


def _train(name: str, seed: int, folder: Path) -> Path:
    with patch.dict(train.SEEDS, {name: seed}), patch.dict(train.FOLDERS, {name: folder}):
        train.train(name, reference_model())
    return folder


def _rows(most: int) -> Callable[[], AbstractContextManager[object]]:
    return lambda: patch("coherence.engine.batch.budget.ROWS", most)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


_DISTURBED = ("support", "counsel", "pirate", "upbeat")

VARIANTS = (
    Variant("the release as it is", seconds=ALL, laws=True),
    *(Variant(f"suite's seed + {offset}", _seeded(offset)) for offset in range(1, 6)),
    Variant("probes backwards", _asked(lambda: _own()[::-1])),
    *(Variant(f"probes shuffled, {number}", _shuffled(number)) for number in (1, 2)),
    Variant("24 further probes", _asked(_further), ALL),
    Variant("48 probes", _asked(lambda: [*_own(), *_further()])),
    *(Variant(f"24 of 48 probes, draw {number}", _drawn(number)) for number in range(1, 7)),
    Variant("20 calibration questions", _asked(_calibration), ALL),
    Variant("two wordings of every probe", _asked(_templates), ALL),
    *(Variant(f"noise of 1 % on adapter {name}", _noisy(name), FEW) for name in _DISTURBED),
    Variant("adapter pirate merged and taken out again", _merged_and_back, 2 * FEW, laws=True),
    Variant("adapter counsel in float32", _in_float32, 2 * FEW, laws=True),
    Variant("adapter support in 8 bits", _in_eight_bits, FEW),
    Variant("adapter upbeat with its factors rotated", _as_full_rank, FEW),
    Variant("vector pirate three times as long", _longer_vector, FEW),
    Variant("noise of 5 % on vector pirate", _noisy_vector, FEW),
    Variant("doses + 5 %", _dosed(1.05), 3 * FEW),
    Variant("doses - 5 %", _dosed(0.95), 3 * FEW),
    Variant("base in bfloat16", _bfloat16, 1.5 * ALL, laws=True),
    Variant("at most 16 rows in a batch, the poles", poles_only, 1.3 * POLES, around=_rows(16)),
    Variant("at most 3 rows in a batch, the poles", poles_only, 2 * POLES, around=_rows(3)),
    Variant("one thread, the poles", poles_only, 1.6 * POLES, around=_one_thread),
    Variant("base in two shards, the poles", _resharded, POLES),
    Variant("adapter pirate trained with another seed", _retrained("pirate", 1), FEW + TRAINING),
    Variant("adapter support trained with another seed", _retrained("support", 1), FEW + TRAINING),
)  # fmt: skip
