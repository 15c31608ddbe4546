"""Ways to put several adapters into a model: PEFT's combinations of them, and its merging into the base."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from coherence.engine.batch.rows import Weights
from coherence.engine.interventions.adapters import Adapters, lora_layers, slot_of
from coherence.engine.interventions.grafts import writing
from coherence.errors import MeasurementError, reason
from coherence.plan import Way

# These write to the weights of the base; the others, but for the stack, make one adapter of several.
WRITTEN = (Way.MERGED, Way.MERGED_BFLOAT16, Way.UNMERGED)
COMBINED = tuple(way for way in Way if way not in (Way.STACKED, *WRITTEN))

# The share of each adapter's weights that is kept where some are dropped (TIES: arXiv 2306.01708, section 4).
_DENSITY = 0.2


def combine(model: nn.Module, weights: Weights, way: Way, name: str) -> None:
    """Mount on a PeftModel what its `add_weighted_adapter` makes of mounted adapters beside them, inactive.

    A MeasurementError says why PEFT refuses.
    """
    peft: Any = model
    slots, gains = [slot_of(adapter) for adapter, _ in weights], [gain for _, gain in weights]
    if any(_offloaded(layer) for layer in lora_layers(model)):
        raise MeasurementError(f"{_named(weights)} cannot be put in by {way}: the base is offloaded")
    try:
        # DARE drops weights at random (arXiv 2311.03099).
        with writing(), torch.random.fork_rng():
            torch.manual_seed(0)
            peft.base_model.add_weighted_adapter(
                slots,
                gains,
                slot_of(name),
                way.replace("-", "_"),
                density=_DENSITY,
                svd_full_matrices=False,
            )
    except Exception as problem:  # nearly any, for adapters that do not go together
        # PEFT takes the half of one that it leaves behind for one that is made already.
        if slot_of(name) in peft.peft_config:
            peft.base_model.delete_adapter(slot_of(name))
        raise MeasurementError(
            f"{_named(weights)} cannot be put in by {way}{_apart(model, slots)}: {reason(problem, TypeError)}"
        ) from problem
    finally:
        for layer in lora_layers(model):
            layer.enable_adapters(False)
    model.eval()


def require_place(model: nn.Module, weights: Weights) -> None:
    """Refuse adapters that cannot be merged into the base with a MeasurementError that says why."""
    if getattr(model, "is_quantized", False):
        # PEFT rounds the sum to few bits again, and adapters are small: little of one may be left.
        raise MeasurementError(f"{_named(weights)} cannot be merged into the base: its weights are quantized")
    slots = {slot_of(name) for name, _ in weights}
    for layer in lora_layers(model):
        here = slots & set(layer.scaling)
        if here and _offloaded(layer):
            raise MeasurementError(f"{_named(weights)} cannot be merged into the base: it is offloaded")
        if any(layer.lora_bias.get(slot) for slot in here) and layer.get_base_layer().bias is None:
            raise MeasurementError(
                f"{_named(weights)} cannot be merged into the base: a bias belongs to a module that has none"
            )


@contextmanager
def fused(model: nn.Module, weights: Weights, way: Way) -> Iterator[None]:
    """Put a model, or a single layer of it, under adapters that are stacked, or merged by PEFT.

    `merged`: into the base, in its dtype. `merged-bfloat16`: into the base rounded to bfloat16, and computed
    in its own dtype. `unmerged`: merged and taken out again; the adapters are active then, so that nothing
    but the drift of the base tells it from the stack. `Adapters(model, ())` inside gives that base alone.
    The base has its own weights back afterwards, bit for bit, also after an exception.
    """
    with ExitStack() as stack:
        stack.enter_context(Adapters(model, weights))
        if way is not Way.STACKED:
            layers = [layer for layer in lora_layers(model) if layer.active_adapters]
            dtype = torch.bfloat16 if way is Way.MERGED_BFLOAT16 else None
            stack.enter_context(_merged(layers, dtype))
            if way is Way.UNMERGED:
                _unmerge(layers)
        yield


def weight_errors(model: nn.Module, weights: Weights, put: Weights, way: Way) -> Tensor:
    """Relative error of each module's change of weights, float32 [modules]: |change - sum| / |sum|.

    The sum is that of the adapters' own changes, each alone; the change is what `put` does in that way.
    Modules that neither touches are left out. Computed in float64: only what is put in is rounded. A
    MeasurementError when the adapters cannot be merged.
    """
    require_place(model, weights)
    layers: list[Any] = list(lora_layers(model))
    errors = (_error(layer, weights, put, way) for layer in layers)
    return torch.tensor([error for error in errors if error is not None], dtype=torch.float32)


def _error(layer: nn.Module, weights: Weights, put: Weights, way: Way) -> float | None:
    own = _effective(layer, (), Way.STACKED)
    total = torch.zeros_like(own)
    for weight in weights:
        total += _effective(layer, (weight,), Way.STACKED) - own
    error = float((_effective(layer, put, way) - own - total).norm())
    size = float(total.norm())
    if size == 0:
        return None if error == 0 else torch.inf
    return error / size


def _effective(layer: nn.Module, weights: Weights, way: Way) -> Tensor:
    """Weights of a layer in float64, with all that is active merged into them exactly."""
    lora: Any = layer
    with fused(layer, weights, way), ExitStack() as stack:
        if not lora.merged:
            stack.enter_context(_merged([lora], torch.float64, then=torch.float64))
        weight: Tensor = lora.get_base_layer().weight.data
        return weight.double()


@contextmanager
def _merged(
    layers: Sequence[LoraLayer], dtype: torch.dtype | None, then: torch.dtype | None = None
) -> Iterator[None]:
    """Merge what is active into copies of the layers' weights, in a dtype or their own."""
    # A module may lend its weights to another.
    own = {parameter: parameter.data for layer in layers for parameter in layer.get_base_layer().parameters()}
    try:
        with writing():
            for parameter, kept in own.items():
                parameter.data = kept.to(dtype or kept.dtype, copy=True)
            for layer in layers:
                layer.merge()
            for parameter, kept in own.items():
                parameter.data = parameter.data.to(then or kept.dtype)
        yield
    finally:
        with writing():
            for parameter, kept in own.items():
                parameter.data = kept
        for layer in layers:
            layer.merged_adapters.clear()


def _unmerge(layers: Sequence[LoraLayer]) -> None:
    with writing():
        for layer in layers:
            layer.unmerge()


def _offloaded(layer: LoraLayer) -> bool:
    return any(parameter.is_meta for parameter in layer.get_base_layer().parameters())


def _apart(model: nn.Module, slots: Sequence[str]) -> str:
    places = [[slot in layer.scaling for slot in slots] for layer in lora_layers(model)]
    return ", as they do not act on the same modules" if any(any(at) != all(at) for at in places) else ""


def _named(weights: Weights) -> str:
    return " and ".join(f"adapter {name!r}" for name, _ in weights)
