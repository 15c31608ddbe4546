"""A suite on the tiny model, and results of a run."""

from pathlib import Path

import numpy as np
import pytest
from judged import judged, mean
from judged import run as judged_run

SUITE = """\
coherence: 1
release: {{base: {base}, adapters: {{pirate: ./lost}}}}
personas:
  pirate: {{prompt: Talk like a pirate.}}
  counsel: {{prompt: Be formal.}}
  mute: {{}}
probes: [Who are you?]
assertions: [{{property: commutativity, laws: [scale-zero]}}]
"""


@pytest.fixture
def suite(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.coherence.yaml"
    path.write_text(SUITE.format(base=tiny))
    return path


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of a run of two assertions, one of them red."""
    monkeypatch.chdir(tmp_path)
    values = np.linspace(0.6, 1, 8)
    red = judged(mean(values, at_least=2), name="pirate.margin")
    judged_run(judged(mean(values)), red).write(tmp_path / "results.json")
    return tmp_path / "results.json"
