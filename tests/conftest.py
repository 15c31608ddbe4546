"""What every test may use: the reference model here, the tiny model and its artefacts in tests/tiny.py."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

# pytester drops the modules that a run inside it imported first, and these do not survive a second import.
import hypothesis
import numpy as np  # noqa: F401
import peft  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import torch
import transformers  # noqa: F401
from warm import warm

pytest_plugins = ["pytester", "tiny", "jenkins"]

_HERE = Path(__file__).parent
_PLACES = {"test_releases.py": -1, "test_tutorial.py": 1}
# Of short files, with which it ends: no worker is left alone with a long one.
_SHORT = {"plan", "properties", "statistics", "suite", "vocabulary"}

# Two workers with all cores each are slower than one worker.
torch.set_num_threads(
    max(1, torch.get_num_threads() // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
)

hypothesis.settings.register_profile(
    "coherence", deadline=None, database=None, max_examples=25, derandomize="CI" in os.environ
)
hypothesis.settings.load_profile("coherence")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what measures the shipped release, and end with short files.

    The tutorial measures into the same store, the user's own, and would wait for it: it comes late.
    """
    items.sort(key=lambda item: _PLACES.get(item.path.name, 0))
    items.sort(key=lambda item: item.path.relative_to(_HERE).parts[0] in _SHORT)


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of what is looked through for garbage: it is here to stay."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of the embedded reference model; downloaded at the first use on a machine."""
    from coherence.engine.artefacts.reference_model import reference_model

    return reference_model(lambda what, done, total: None)


@pytest.fixture(scope="session")
def warm_python() -> Iterator[Path]:
    """An interpreter that has imported torch and the like, for runs in processes of their own."""
    with warm() as python:
        yield python
