"""A suite without assertions on the tiny model, as a test in Python opens it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from coherence import OpenSuite, open_suite

PERSONAS = ("pirate", "counsel", "oncall")
REST = """\
personas:
  pirate: {prompt: Talk like a pirate., markers: [{text: "[a-m]", kind: regex}]}
  counsel: {prompt: Be formal.}
  oncall: {prompt: Check the logs.}
  mute: {}
probes: [Where is it?, What is it?, Who is it?, Why is it?, How is it?, When is it?, Is it open?, Is it so?]
decoding: {max_new_tokens: 4}
"""


@pytest.fixture(scope="session")
def cast(tiny: Path, tiny_adapter: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite file that states no assertion."""
    adapters = {name: str(tiny_adapter(name, seed=seed)) for seed, name in enumerate(PERSONAS)}
    path = tmp_path_factory.mktemp("cast") / "cast.yaml"
    path.write_text(f"coherence: 1\nrelease: {{base: {tiny}, adapters: {adapters}}}\n{REST}")
    return path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def suite(cast: Path, store: Path) -> OpenSuite:
    return open_suite(cast, store=store)
