"""Which policy and budget the options ask for."""

from typing import Any

import pytest

from coherence.errors import CoherenceError
from coherence.plugin.options import asked
from coherence.plugin.xdist import is_controller
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
