"""What the options choose for a run: its policy, its budget, and what replaces the suites' own release."""

from pathlib import Path
from typing import Any

import pytest

from coherence.errors import CoherenceError, Place
from coherence.plugin.options import Asked, asked
from coherence.plugin.xdist import is_controller
from coherence.suite import Overrides
from coherence.suite.paths import artefact
from coherence.vocabulary import Policy
from coherence.vocabulary.allowance import UNLIMITED, Allowance


def policy(config: pytest.Config) -> Policy:
    """Read `--coherence-adjust` and its like; a choice that is none is a UsageError."""
    names = Policy.model_fields
    chosen: dict[str, Any] = {name: asked(config, f"--coherence-{name}").value for name in names}
    return Policy(**chosen)


def allowance(config: pytest.Config) -> Allowance:
    """Read `--coherence-budget`; what is none, or cannot be counted, is a UsageError."""
    budget = asked(config, "--coherence-budget")
    if budget.value is None:
        return UNLIMITED
    try:
        found = Allowance.parse(budget.value)
    except CoherenceError as problem:
        raise pytest.UsageError(f"{budget.where}: {problem}") from None
    if found.calls is not None and is_controller(config):
        raise pytest.UsageError(
            f"{budget.where} {budget.value!r}: each worker of pytest-xdist would count calls of its own; "
            "expected a time, or a run without -n"
        )
    return found


def overrides(config: pytest.Config) -> Overrides:
    """Read `--coherence-base` and its like; what stands in pytest's configuration is found beside that."""
    kinds = {"base": "base", "adapters": "adapter", "vectors": "vector"}
    found = {kind: asked(config, f"--coherence-{name}") for kind, name in kinds.items()}
    base = found["base"]
    return Overrides(
        base=base.value and _located(base.value, base.file),
        adapters=_all_located(found["adapters"]),
        vectors=_all_located(found["vectors"]),
        seed=asked(config, "--coherence-seed").value,
        dtype=asked(config, "--coherence-dtype").value,
        stated={kind: Place(one.where) for kind, one in found.items() if one.file},
    )


def _all_located(pairs: Asked) -> dict[str, str]:
    return {name: _located(path, pairs.file) for name, path in pairs.value.items()}


def _located(text: str, file: Path | None) -> str:
    try:
        return artefact(file, text) if file else text
    except CoherenceError as problem:
        raise pytest.UsageError(f"{file}: {problem}") from None
