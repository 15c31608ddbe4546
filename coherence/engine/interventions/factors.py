"""The factors of a mounted LoRA, layer by layer, whatever its config says in which way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from peft.tuners.lora import Linear, LoraLayer
from torch import Tensor, nn

from coherence.engine.interventions.adapters import lora_layers, slot_of
from coherence.errors import ArtefactError

_MERGE = "merge it into the base instead (--merged)"


@dataclass(frozen=True, eq=False)
class Factors:
    """What LoRA adds to the weight of a linear layer: scale * up @ down.

    `up` is [outputs, rank], `down` [rank, inputs].
    Source: arXiv 2106.09685, section 4.1.
    """

    down: Tensor
    up: Tensor
    scale: float

    @property
    def rank(self) -> int:
        """Rows of the one, and columns of the other."""
        return int(self.down.shape[0])


def factors(model: nn.Module, name: str) -> dict[str, Factors]:
    """Return what a mounted adapter adds, by the names of linear layers in the model.

    An ArtefactError where it does more than that, as DoRA, biases, and other kinds of adapters do.
    """
    slot, names = slot_of(name), {module: path for path, module in model.named_modules()}
    by_layer: dict[str, Factors] = {}
    for layer in lora_layers(model):
        if slot in layer.scaling:
            own = cast(nn.Module, layer)
            by_layer[names[own].removeprefix("base_model.model.")] = _of(layer, slot)
    if not by_layer:
        raise ArtefactError(f"is no LoRA on linear layers alone, which has no factors of its own; {_MERGE}")
    return by_layer


def _of(layer: LoraLayer, slot: str) -> Factors:
    if not isinstance(layer, Linear) or layer.fan_in_fan_out:
        raise ArtefactError(f"changes more than the weights of linear layers; {_MERGE}")
    if slot in layer.lora_variant or layer.lora_bias[slot]:
        raise ArtefactError(f"has more than two factors for a layer, as DoRA and biases do; {_MERGE}")
    down, up = (cast(Tensor, part[slot].weight).detach() for part in (layer.lora_A, layer.lora_B))
    return Factors(down, up, float(layer.scaling[slot]))


def under_one_alpha(by_layer: Mapping[str, Factors]) -> tuple[float, dict[str, Factors]]:
    """Return an alpha for all layers, scale = alpha / rank, and the same adapter with those scales.

    The alpha is that of most layers, whose numbers are kept; of the others the second factor is multiplied.
    """
    alphas = Counter(round(each.scale * each.rank, 6) for each in by_layer.values())
    alpha = max(alphas, key=alphas.__getitem__)
    return alpha, {layer: _scaled(each, alpha / each.rank) for layer, each in by_layer.items()}


def _scaled(each: Factors, scale: float) -> Factors:
    ratio = each.scale / scale if scale else 0.0
    up = each.up if abs(ratio - 1) < 1e-6 else (each.up.float() * ratio).to(each.up.dtype)
    return replace(each, up=up, scale=scale)
