"""What the options put in place of the suites' own release."""

from pathlib import Path

import pytest

from coherence.errors import Place
from coherence.plugin.options import Asked, asked
from coherence.suite import Overrides
from coherence.suite.paths import artefact


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
    return artefact(file, text) if file else text
