"""Which policy and budget the command line asks for, or else pytest's configuration."""

from typing import Any

import pytest

from coherence.errors import CoherenceError, did_you_mean
from coherence.plugin import CHOICES, POLICIES
from coherence.vocabulary import Policy
from coherence.vocabulary.allowance import UNLIMITED, Allowance


def policy(config: pytest.Config) -> Policy:
    """Read `--coherence-adjust` and its like; a choice that is none is a UsageError."""
    chosen: dict[str, Any] = {name: choice(config, name) for name in POLICIES}
    return Policy(**chosen)


def allowance(config: pytest.Config) -> Allowance:
    """Read `--coherence-budget`; what is none, or cannot be counted, is a UsageError."""
    option = "--coherence-budget"
    written = config.getoption(option)
    if written is None:
        return UNLIMITED
    try:
        found = Allowance.parse(written)
    except CoherenceError as problem:
        raise pytest.UsageError(f"{option}: {problem}") from None
    if found.calls is not None and config.getoption("tx", None):
        raise pytest.UsageError(
            f"{option} {written!r}: each worker of pytest-xdist would count calls of its own; "
            "expected a time, or a run without -n"
        )
    return found


def choice(config: pytest.Config, name: str) -> str:
    """Read one of the options with choices; what is none of them is a UsageError."""
    choices, _ = CHOICES[name]
    option, key = f"--coherence-{name}", f"coherence_{name.replace('-', '_')}"
    given, configured = config.getoption(option), config.getini(key)
    where, found = (option, given) if given is not None else (f"{config.inipath}: {key}", configured)
    if given is None and not configured:
        return choices[0]
    if found not in choices:
        raise pytest.UsageError(f"{where}: unknown choice {found!r}{did_you_mean(found, choices)}")
    return str(found)
