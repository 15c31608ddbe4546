"""A LoRA adapter's file as matrices, and the ways in which such files go wrong."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_A, _B = ".lora_A.weight", ".lora_B.weight"


@dataclass(frozen=True, eq=False)
class Lora:
    """Factors A [rank, in] and B [out, rank] by module, in float32; the effect is alpha / rank * B @ A."""

    config: Mapping[str, Any]
    factors: Mapping[str, tuple[Tensor, Tensor]]

    @classmethod
    def read(cls, folder: Path) -> "Lora":
        """Read the folder of a PEFT adapter."""
        weights = load_file(folder / _WEIGHTS)
        modules = [name.removesuffix(_A) for name in weights if name.endswith(_A)]
        factors = {name: (weights[name + _A].float(), weights[name + _B].float()) for name in modules}
        return cls(json.loads((folder / _CONFIG).read_text()), factors)

    def write(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write the folder of a PEFT adapter."""
        folder.mkdir(parents=True)
        (folder / _CONFIG).write_text(json.dumps(dict(self.config)))
        weights = {
            name + end: factor.to(dtype).contiguous()
            for name, pair in self.factors.items()
            for end, factor in zip((_A, _B), pair, strict=True)
        }
        save_file(weights, folder / _WEIGHTS, metadata={"format": "pt"})

    def effect(self, module: str) -> Tensor:
        """Return what the adapter adds to the weights of a module, [out, in]."""
        a, b = self.factors[module]
        return torch.as_tensor(self.config["lora_alpha"] / self.config["r"] * (b @ a))

    def scaled(self, by: float) -> "Lora":
        """Multiply the effect."""
        return self._each(lambda a, b: (a, by * b))

    def mixed(self, other: "Lora", share: float) -> "Lora":
        """Add `share` of another adapter's effect to what is left of this one's, exactly: ranks add up."""
        ranks = self.config["r"] + other.config["r"]
        mine = (1 - share) * self.config["lora_alpha"] / self.config["r"]
        theirs = share * other.config["lora_alpha"] / other.config["r"]
        factors = {
            name: (
                torch.cat([a, other.factors[name][0]]),
                torch.cat([mine * b, theirs * other.factors[name][1]], 1),
            )
            for name, (a, b) in self.factors.items()
        }
        return Lora({**self.config, "r": ranks, "lora_alpha": ranks}, factors)

    def of_rank(self, rank: int) -> "Lora":
        """Keep the strongest directions of every module."""

        def kept(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            (out, by_out), (into, by_into) = torch.linalg.qr(b), torch.linalg.qr(a.T)
            left, strength, right = torch.linalg.svd(by_out @ by_into.T)
            strength[rank:] = 0
            return right @ into.T, out @ left * strength

        return self._each(kept)

    def quantised(self, bits: int) -> "Lora":
        """Round every row of the factors to the nearest of 2**bits - 1 evenly spaced levels."""
        most = 2 ** (bits - 1) - 1

        def rounded(factor: Tensor) -> Tensor:
            step = factor.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / most
            nearest: Tensor = (factor / step).round() * step
            return nearest

        return self._each(lambda a, b: (rounded(a), rounded(b)))

    def noisy(self, share: float, seed: int) -> "Lora":
        """Add Gaussian noise to the factors, `share` of each factor's root mean square."""
        random = torch.Generator().manual_seed(seed)

        def disturbed(factor: Tensor) -> Tensor:
            return factor + share * factor.square().mean().sqrt() * torch.randn(
                factor.shape, generator=random
            )

        return self._each(lambda a, b: (disturbed(a), disturbed(b)))

    def without(self, last: int) -> "Lora":
        """Take the effect away from the `last` blocks that the adapter touches."""
        blocks = sorted({_block(name) for name in self.factors})
        gone = set(blocks[len(blocks) - last :])
        factors = {
            name: (a, torch.zeros_like(b) if _block(name) in gone else b)
            for name, (a, b) in self.factors.items()
        }
        return replace(self, factors=factors)

    def only(self, projections: tuple[str, ...]) -> "Lora":
        """Take the effect away from all modules but these."""
        factors = {
            name: (a, b if name.endswith(projections) else torch.zeros_like(b))
            for name, (a, b) in self.factors.items()
        }
        return replace(self, factors=factors)

    def merged_and_back(self, base: Mapping[str, Tensor]) -> "Lora":
        """Add the effect to the weights of a base in float32, and take it out again."""

        def back(name: str, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            weight = base[name.removeprefix("base_model.model.") + ".weight"]
            found = (weight + self.effect(name)) - weight
            rows, _ = torch.linalg.qr(a.T)
            return rows.T, found @ rows * (self.config["r"] / self.config["lora_alpha"])

        return replace(self, factors={name: back(name, a, b) for name, (a, b) in self.factors.items()})

    def _each(self, change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> "Lora":
        return replace(self, factors={name: change(a, b) for name, (a, b) in self.factors.items()})


def _block(module: str) -> int:
    (number,) = re.findall(r"\.layers\.(\d+)\.", module)
    return int(number)
