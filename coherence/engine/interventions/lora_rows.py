"""The adapter regime row by row: each row of a batch under its own weighted adapters, in one forward pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from typing import Any, NamedTuple

from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import MultiheadAttention, ParamWrapper
from peft.tuners.lora.variants import ALoraLinearVariant
from torch import Tensor, nn

from coherence.engine.batch.rows import Weights
from coherence.engine.interventions.adapters import lora_layers, slot_of

# Layers of more than one matrix.
_OF_SEVERAL = (MultiheadAttention, ParamWrapper)


class Run(NamedTuple):
    """Tokens of a pass, counted line after line, under an adapter and what that is multiplied by."""

    tokens: slice
    name: str
    weight: float


@contextmanager
def mixed(layers: Sequence[LoraLayer], rows: Sequence[Weights], bounds: Sequence[int]) -> Iterator[None]:
    """Put row i of a forward pass, whose tokens lie from `bounds[i]` to `bounds[i + 1]`, under `rows[i]`.

    Tokens are counted line after line. An adapter named twice counts twice. PEFT's own switching stays off
    meanwhile. Only plain LoRA on linear layers can be added so: see `mixes`. For LoRA see arXiv 2106.09685,
    section 4.1.
    """
    # Neighbours under the same weights are one run of tokens: one product for all of them, and no copy.
    runs = [
        Run(slice(bounds[first], bounds[end]), name, weight)
        for first, end, weights in _runs(rows)
        for name, weight in weights
    ]
    with added(layers, runs):
        yield


@contextmanager
def added(layers: Sequence[LoraLayer], runs: Sequence[Run]) -> Iterator[None]:
    """Put runs of tokens under adapters, as `mixed` puts rows."""
    with ExitStack() as hooks:
        # Only layers that some row is adapted in are hooked: rows without adapters cost nothing.
        for layer in layers if runs else ():
            parts = [
                (run.tokens, *_factors(layer, slot_of(run.name), run.weight))
                for run in runs
                if slot_of(run.name) in layer.scaling
            ]
            if parts:
                module: Any = layer
                hooks.callback(module.register_forward_hook(_adding(parts)).remove)
        yield


_Part = tuple[slice, Tensor, Tensor, float]


def _factors(layer: LoraLayer, slot: str, weight: float) -> tuple[Tensor, Tensor, float]:
    down: Any = layer.lora_A[slot].weight
    up: Any = layer.lora_B[slot].weight
    return down.T, up.T, weight * layer.scaling[slot]


def _runs(rows: Sequence[Weights]) -> Iterator[tuple[int, int, Weights]]:
    for weights, members in groupby(range(len(rows)), key=lambda index: rows[index]):
        first, *others = members
        yield first, first + len(others) + 1, weights


def _adding(parts: Sequence[_Part]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def add(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        # Added into the output itself, through a view: other rows keep the base's own numbers, bit for bit.
        tokens, added = args[0].flatten(0, 1), output.view(-1, output.shape[-1])
        for run, down, up, gain in parts:
            # In the adapter's own dtype, in which PEFT computes it as well, where the base's is another.
            added[run] += gain * (tokens[run].to(down.dtype) @ down) @ up

    return add


def mixes(model: nn.Module, name: str) -> bool:
    """Tell whether a mounted adapter is LoRA on linear layers alone: no DoRA, no bias, no embedding."""
    # DoRA rescales what the base gives, a bias comes on top, and an embedding has ids for its input: none of
    # them is a row's tokens times two factors, which is all that is added here. Whatever gives the base's own
    # part, quantized weights too, that is added to what comes out.
    slot = slot_of(name)
    layers = [layer for layer in lora_layers(model) if slot in {*layer.lora_A, *layer.lora_embedding_A}]
    return all(
        slot in layer.lora_A
        and isinstance(layer.lora_A[slot], nn.Linear)
        and not isinstance(layer, _OF_SEVERAL)
        and isinstance(layer.lora_variant.get(slot), ALoraLinearVariant | None)
        and layer.lora_B[slot].bias is None
        for layer in layers
    )
