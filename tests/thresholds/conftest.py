"""Suites about a cast that has never been measured, and records that say what it would have said."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import pytest

from coherence.plan import Answer, Measurement, Record, Reply
from coherence.suite import Overrides, Suite, load_suite

CAST = ("pirate", "counsel", "oncall")
SUITE = """\
coherence: 1  # version of the format
release:
  adapters: {pirate: ./lost, counsel: ./lost, oncall: ./lost}
  vectors: {pirate: ./lost, counsel: ./lost, oncall: ./lost}
personas:
  pirate: {prompt: Be pirate., markers: [pirate]}
  counsel: {prompt: Be counsel., markers: [counsel]}
  oncall: {prompt: Be oncall., markers: [oncall]}
probes:
"""
MARKERS = """\
  - property: markers
    between: [prompt, adapter]
    min_agreement: 0.6  # as good as it gets
    max_difference: 0.25
    min_recovery: 0.7
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a suite of some assertions and probes."""

    def write(assertions: str = MARKERS, probes: int = 24, per_template: int = 1) -> Path:
        asked = [
            f"  - {{id: q{n}, text: Question {n}?, template: t{n // per_template}}}\n" for n in range(probes)
        ]
        path = tmp_path / "a.coherence.yaml"
        path.write_text(f"{SUITE}{''.join(asked)}assertions:\n{assertions}")
        return path

    return write


@pytest.fixture
def load(write: Callable[..., Path]) -> Callable[..., Suite]:
    """Load such a suite."""
    return lambda *arguments, **options: load_suite(write(*arguments, **options), Overrides())


def chance(*names: object) -> float:
    """A number from 0 to 1 that is always the same for the same names."""
    return int.from_bytes(sha256(repr(names).encode()).digest()[:6], "big") / 2**48


def said(reply: Reply, heard: float) -> str:
    """Say the names of the personas that the condition puts into the model, each with a probability."""
    prompts = [prompt.text.removeprefix("Be ").removesuffix(".") for prompt in reply.condition.prompts]
    artefacts = [name for name, _ in reply.condition.adapters]
    artefacts += [steer.vector for steer in reply.condition.steers]
    return " ".join(
        name for name in CAST if name in prompts or (name in artefacts and chance(name, reply.probe) < heard)
    )


@pytest.fixture
def talk() -> Callable[..., Record]:
    """What is said when prompts are always heard, and artefacts with a probability."""

    def talk(needs: Iterable[Measurement], heard: float = 1.0) -> Record:
        replies = (need for need in needs if isinstance(need, Reply))
        return Record({reply: Answer(said(reply, heard), ()) for reply in replies})

    return talk
