"""One server for all tests of this folder: the tiny model, its template one that writes date and thinking."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
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
def healthy(dated: Path, tiny_adapter: Callable[..., Path]) -> Iterator[Serving]:
    adapters = {
        "pirate": tiny_adapter("pirate", seed=1, use_rslora=True),
        "counsel": tiny_adapter("counsel", seed=2),
    }
    with Serving.of(dated, adapters) as serving:
        yield serving
