"""One server for all tests of this folder: the tiny model, its template one that writes date and thinking."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from serving.served_model import ServedModel, Vector
from serving.server import Serving
from serving.template import TEMPLATE


@pytest.fixture(scope="session")
def dated(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny model's folder with that template."""
    folder = tmp_path_factory.mktemp("dated") / "base"
    shutil.copytree(tiny, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="session")
def vector(dated: Path) -> Vector:
    """Return what steers: as long as it takes for the tiny model to mind."""
    width = json.loads((dated / "config.json").read_text())["hidden_size"]
    return Vector(1, torch.randn(width, generator=torch.Generator().manual_seed(3)) * 0.5)


@pytest.fixture(scope="session")
def healthy(dated: Path, tiny_adapter: Callable[..., Path], vector: Vector) -> Iterator[Serving]:
    adapters = {
        "pirate": tiny_adapter("pirate", seed=1, use_rslora=True),
        "counsel": tiny_adapter("counsel", seed=2),
    }
    with Serving(ServedModel(dated, adapters, vectors={"pirate-steered": vector})) as serving:
        yield serving


@pytest.fixture(scope="session")
def steered(healthy: Serving) -> Iterator[Serving]:
    """The same model at a server of its own, which adds the vector to all that it answers."""
    with Serving(healthy.model, always="pirate-steered") as serving:
        yield serving
