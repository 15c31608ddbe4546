"""A release on the tiny model, to be looked at with some of its artefacts replaced."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coherence.doctor.release_checks import release

SUITE = """\
coherence: 1
release:
  base: {base}
  adapters: {{pirate: {adapter}}}
  vectors: {{pirate: {vector}, made: {{extract: {{persona: pirate, site: resid_post.1}}}}}}
  training: {training}
personas: {{pirate: {{prompt: Talk like a pirate.}}}}
probes: [Who are you?]
assertions: [{{property: commutativity, laws: [scale-zero]}}]
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a suite about a release: `write(base=folder, adapter=folder, vector=file)`."""

    def write(**artefacts: str | Path) -> Path:
        path = tmp_path / "a.coherence.yaml"
        path.write_text(SUITE.format(**{"training": "{}"} | artefacts))
        return path

    return write


@pytest.fixture
def looked(write, tiny, tiny_adapter, tiny_vector, monkeypatch):
    """Look at a release on the tiny model, some of its artefacts replaced."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def looked(**artefacts):
        named = {"base": tiny, "adapter": tiny_adapter("pirate"), "vector": tiny_vector("pirate")} | artefacts
        return list(release(write(**named)))

    return looked


@pytest.fixture
def look(looked):
    """The checks of a release by what was looked at, of which there is one each."""
    return lambda **artefacts: {check.what: check for check in looked(**artefacts)}
