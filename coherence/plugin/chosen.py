"""What the options choose for a run: its policy, its budget, and what replaces the suites' own release."""

from pathlib import Path
from typing import Any

import pytest

from coherence.errors import CoherenceError, Place
from coherence.plugin.options import Setting, setting_of
from coherence.plugin.xdist import is_controller
from coherence.suite import Overrides
from coherence.suite.paths import artefact
from coherence.vocabulary import Policy
from coherence.vocabulary.allowance import UNLIMITED, Allowance


def policy(config: pytest.Config) -> Policy:
    """Read `--coherence-adjust` and its like; a choice that is none is a UsageError."""
    names = Policy.model_fields
    chosen: dict[str, Any] = {name: setting_of(config, f"--coherence-{name}").value for name in names}
    return Policy(**chosen)


def allowance(config: pytest.Config) -> Allowance:
    """Read `--coherence-budget`; what is none, or cannot be counted, is a UsageError."""
    budget = setting_of(config, "--coherence-budget")
    if budget.value is None:
        return UNLIMITED
    try:
        allowance = Allowance.parse(budget.value)
    except CoherenceError as problem:
        raise pytest.UsageError(f"{budget.where}: {problem}") from None
    if allowance.calls is not None and is_controller(config):
        raise pytest.UsageError(
            f"{budget.where} {budget.value!r}: each worker of pytest-xdist would count calls of its own; "
            "expected a time, or a run without -n"
        )
    return allowance


def overrides(config: pytest.Config) -> Overrides:
    """Read `--coherence-base` and its like; what stands in pytest's configuration is found beside that."""
    kinds = {"base": "base", "adapters": "adapter", "vectors": "vector"}
    settings = {kind: setting_of(config, f"--coherence-{name}") for kind, name in kinds.items()}
    base = settings["base"]
    return Overrides(
        base=base.value and _located(base.value, base.file),
        adapters=_all_located(settings["adapters"]),
        vectors=_all_located(settings["vectors"]),
        seed=setting_of(config, "--coherence-seed").value,
        dtype=setting_of(config, "--coherence-dtype").value,
        served=setting_of(config, "--coherence-served").value,
        stated={kind: Place(one.where) for kind, one in settings.items() if one.file},
    )


def _all_located(pairs: Setting) -> dict[str, str]:
    return {name: _located(path, pairs.file) for name, path in pairs.value.items()}


def _located(text: str, file: Path | None) -> str:
    try:
        return artefact(file, text) if file else text
    except CoherenceError as problem:
        raise pytest.UsageError(f"{file}: {problem}") from None
