"""Kinds of quantized weights: what reading them takes, and what else of the arithmetic they change."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from coherence.errors import ArtefactError

# What transformers reads a kind by. Of one that is not among them, it says so itself.
_NEEDS = {
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed-tensors",),
    "gptq": ("gptqmodel", "optimum"),
}
# Kinds that leave what layers are given as it is.
_WEIGHTS_ALONE = ("awq", "gptq")


@dataclass(frozen=True)
class Quantization:
    """A kind of quantized weights, and whether what layers are given is rounded as well."""

    method: str
    inputs: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Quantization | None":
        """Read what a config.json says; None where it says nothing."""
        settings = config.get("quantization_config")
        if not isinstance(settings, Mapping) or not settings:
            return None
        # Older configs name bitsandbytes by its bits alone.
        by_bits = any(settings.get(f"load_in_{bits}bit") for bits in (4, 8))
        method = "bitsandbytes" if by_bits else str(settings.get("quant_method"))
        return cls(method, _rounds_inputs(method, settings))

    @property
    def versions(self) -> dict[str, str | None]:
        """The distributions that transformers reads it by, and which of their versions are here."""
        return {name: _version(name) for name in _NEEDS.get(self.method, ())}

    def require(self) -> None:
        """Raise an ArtefactError that says what to install, where something is missing."""
        missing = [name for name, version in self.versions.items() if version is None]
        if missing:
            raise ArtefactError(
                f"cannot be loaded: its weights are quantized ({self.method}), which takes "
                f"{' and '.join(missing)}: pip install 'pytest-coherence[{self.method}]'"
            )


def _rounds_inputs(method: str, settings: Mapping[str, Any]) -> bool:
    if method == "bitsandbytes":
        return bool(settings.get("load_in_8bit"))
    if method == "compressed-tensors":
        groups = settings.get("config_groups")
        parts = groups.values() if isinstance(groups, Mapping) else ()
        return any(isinstance(part, Mapping) and bool(part.get("input_activations")) for part in parts)
    # Nothing is promised of a kind that is not known here.
    return method not in _WEIGHTS_ALONE


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
