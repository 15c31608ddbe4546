"""Where the numbers come from: the artefacts of a run, and the command that runs it again."""

import re
import shlex
from collections.abc import Iterator

from coherence.results import Results

_KINDS = ("adapter", "vector")


def artefacts(results: Results) -> list[tuple[str, str, str]]:
    """List every artefact as its name, what the release calls it and the start of its digest."""
    release = {pair: None for result in results.assertions for pair in result.release.items()}
    return [(name, *_split(was)) for name, was in release]


def command(results: Results) -> str:
    """Spell the run out, quoted for a shell, an option a line, with every artefact that has a path.

    What is not the same in all suites is left to them, as an option would replace it in each.
    """
    if results.command:
        return results.command
    suites = dict.fromkeys(result.suite for result in results.assertions)
    options = {"seed": {str(results.seed)}, "dtype": set(results.dtypes), **_artefact_options(results)}
    overrides = [f"--coherence-{name}={value}" for name, values in options.items() for value in _only(values)]
    policy = [
        *(
            f"--coherence-{name}={value}"
            for name, value in results.policy.model_dump(exclude={"strict", "looks"}).items()
        ),
        *(["--coherence-looks=" + ",".join(map(str, looks))] if (looks := results.policy.looks) else []),
        *(["--coherence-strict"] if results.policy.strict else []),
    ]
    smoke = results.assertions and all(result.tier == "smoke" for result in results.assertions)
    tier = ["--coherence-tier=smoke"] if smoke else []
    first = shlex.join(["pytest", "--coherence", *suites])
    return " \\\n  ".join([first, *map(shlex.quote, [*overrides, *policy, *tier])])


def _only(values: set[str]) -> set[str]:
    return values if len(values) == 1 else set()


def _artefact_options(results: Results) -> dict[str, set[str]]:
    """Options by what is before their last `=`, with every value that a suite has for them."""
    options: dict[str, set[str]] = {}
    for option, was in _paths(results):
        options.setdefault(option, set()).add(was)
    return options


def _paths(results: Results) -> Iterator[tuple[str, str]]:
    for name, was, _ in artefacts(results):
        kind, _, own = name.partition(" ")
        if name == "base":
            yield "base", was
        elif kind in _KINDS and was != "extracted":
            yield f"{kind}={own}", was


def _split(was: str) -> tuple[str, str]:
    """Part what an artefact was from the start of its digest; what could not be read has none."""
    parts = re.fullmatch(r"(.+) ([0-9a-f]{12})", was, re.DOTALL)
    return (parts[1], parts[2]) if parts else (was, "")
