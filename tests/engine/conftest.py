from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.batch.budget import Budget
from coherence.engine.batch.layout import Padded
from coherence.engine.batch.rows import Row
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.forward import run
from coherence.engine.model.host import Host
from coherence.store import Store
from coherence.vocabulary import Release, Templating
from coherence.vocabulary.templating import AS_IT_IS


@pytest.fixture
def host(tiny: Path) -> Host:
    return Host.load(tiny, "float32")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def artefacts(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Artefacts]:
    """Make the artefacts of a release of the tiny model: `artefacts(adapters={"pirate": folder})`."""
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))

    def make(
        extracts: Any = None, places: Any = None, templating: Templating = AS_IT_IS, **release: Any
    ) -> Artefacts:
        named = {
            kind: {name: str(path) if isinstance(path, Path) else path for name, path in found.items()}
            for kind, found in release.items()
            if kind in ("adapters", "vectors")
        }
        return Artefacts(
            Release.model_validate({"base": str(tiny)} | release | named), extracts or {}, places, templating
        )

    return make


@pytest.fixture
def measure() -> Callable[..., dict[Any, Any]]:
    """Measure rows: `measure(host, rows, norms=..., budget=...)`; without norms no token is a sink."""

    def measured(host: Host, rows: list[Row], **given: Any) -> dict[Any, Any]:
        settings = {
            "norms": torch.full((len(host.blocks) + 1,), torch.inf),
            "budget": Budget(pytest.fail),
        } | given
        found = list(run(host, rows, **settings))
        assert len(found) == len(dict(found)), "something was measured twice"
        return dict(found)

    return measured


@pytest.fixture
def every_token(host: Host) -> Callable[..., Tensor]:
    """Residuals [rows, blocks + 1, tokens, width] of every token of rows that are padded together."""

    def read(rows: list[Row]) -> Tensor:
        with torch.inference_mode(), Taps(host.blocks, lambda hidden, depth: hidden) as taps:
            host.core(**Padded.of(rows, host.pad, host.device).inputs())
        return taps.stacked()

    return read


@pytest.fixture(params=["packed", "padded"])
def either(request: pytest.FixtureRequest, host: Host) -> Host:
    """The tiny model, whose rows are once packed and once padded."""
    assert host.packs > 0
    if request.param == "padded":
        host.packs = 0
    return host
