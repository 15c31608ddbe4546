"""The adapter regime row by row: each row of a batch under its own weighted adapters, in one forward pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear, LoraLayer
from torch import Tensor, nn

from coherence.engine.adapters import Weights, lora_layers, slot_of


class AdapterBank:
    """The low-rank factors of several mounted adapters, side by side: one product serves all rows of a batch.

    PEFT's own switching stays off meanwhile. Only plain LoRA on linear layers can be laid out so: see
    `lays_out`. For LoRA see arXiv 2106.09685, section 4.1.
    """

    def __init__(self, layers: Sequence[LoraLayer], names: Sequence[str]) -> None:
        self._names = list(names)
        slots = [slot_of(name) for name in names]
        self._factors: list[tuple[Any, _Factors]] = [
            (layer, _Factors(layer, slots)) for layer in layers if layer.scaling.keys() & slots
        ]

    @contextmanager
    def over(self, rows: Sequence[Weights]) -> Iterator[None]:
        """Put row i of a forward pass under the adapters `rows[i]`; an adapter named twice counts twice."""
        weights = torch.zeros(len(rows), len(self._names))
        for index, row in enumerate(rows):
            for name, weight in row:
                weights[index, self._names.index(name)] += weight
        with ExitStack() as hooks:
            for layer, factors in self._factors:
                hooks.callback(layer.register_forward_hook(factors.hook(weights)).remove)
            yield


class _Factors:
    """What one layer's adapters add: `up @ (gains * (down @ x))`, with the ranks of all of them in a row."""

    def __init__(self, layer: LoraLayer, slots: Sequence[str]) -> None:
        here = [index for index, slot in enumerate(slots) if slot in layer.scaling]
        downs: list[Any] = [layer.lora_A[slots[index]].weight for index in here]
        ups: list[Any] = [layer.lora_B[slots[index]].weight for index in here]
        self._down = torch.cat(downs)
        self._up = torch.cat(ups, dim=1).T.contiguous()
        self._owner = torch.tensor([index for index, down in zip(here, downs, strict=True) for _ in down])
        self._scale = torch.cat(
            [
                torch.full((len(down),), layer.scaling[slots[index]])
                for index, down in zip(here, downs, strict=True)
            ]
        )

    def hook(self, weights: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        """Make the hook for rows of these weights [rows, adapters]."""
        gains = (weights[:, self._owner] * self._scale)[:, None, :].to(self._down)

        def add(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            low = (args[0].to(self._down.dtype) @ self._down.T) * gains
            return (output + low @ self._up).to(output.dtype)

        return add


def lays_out(model: nn.Module, name: str) -> bool:
    """Tell whether a mounted adapter is plain LoRA on linear layers: no DoRA, no bias, no embedding."""
    slot = slot_of(name)
    layers = [layer for layer in lora_layers(model) if slot in {*layer.lora_A, *layer.lora_embedding_A}]
    return all(
        isinstance(layer, Linear)
        and slot in layer.lora_A
        and slot not in layer.lora_variant
        and layer.lora_B[slot].bias is None
        for layer in layers
    )
