"""Where the numbers come from: the artefacts of a run, and the command that runs it again."""

import re
import shlex
from collections.abc import Iterator

from coherence.results import Results

_KINDS = ("adapter", "vector")


def artefacts(results: Results) -> list[tuple[str, str, str]]:
    """List every artefact as its name, what the release calls it and the start of its digest."""
    found = {pair: None for result in results.assertions for pair in result.release.items()}
    return [(name, *_split(was)) for name, was in found]


def command(results: Results) -> str:
    """Spell the run out, quoted for a shell, with every artefact that has a path."""
    suites = dict.fromkeys(result.suite for result in results.assertions)
    options = {"seed": results.seed, **results.policy.model_dump()}
    said = (f"--coherence-{name}={value}" for name, value in options.items())
    return shlex.join(["pytest", "--coherence", *suites, *said, *_overrides(results)])


def _overrides(results: Results) -> Iterator[str]:
    for name, was, _ in artefacts(results):
        kind, _, own = name.partition(" ")
        if name == "base":
            yield f"--coherence-base={was}"
        elif kind in _KINDS and was != "extracted":
            yield f"--coherence-{kind}={own}={was}"


def _split(was: str) -> tuple[str, str]:
    """Part what an artefact was from the start of its digest; what could not be read has none."""
    parts = re.fullmatch(r"(.+) ([0-9a-f]{12})", was, re.DOTALL)
    return (parts[1], parts[2]) if parts else (was, "")
