"""The adapter regime: PEFT LoRA adapters mounted beside each other, switched and scaled."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from coherence.engine.batch.rows import Weights
from coherence.engine.interventions.adapter_weights import named
from coherence.errors import ArtefactError


class Adapters:
    """Activate adapters with weights (their LoRA scale is multiplied), or none at all: the base model.

    An adapter that is named twice gets the sum of its weights. Re-entrant; leaving restores the exact prior
    state (active adapters, scales), also after an exception.
    """

    def __init__(self, model: nn.Module, weights: Weights) -> None:
        self._model = model
        self._weights: dict[str, float] = defaultdict(float)
        for name, weight in weights:
            self._weights[slot_of(name)] += weight
        self._entered: list[list[_LayerState]] = []

    def __enter__(self) -> "Adapters":
        states = [_LayerState(layer) for layer in lora_layers(self._model)]
        self._entered.append(states)
        for state in states:
            state.apply(self._weights)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for state in self._entered.pop():
            state.restore()


class _LayerState:
    """What a LoRA layer was before an `Adapters` context touched it."""

    def __init__(self, layer: LoraLayer) -> None:
        self._layer = layer
        self._active = list(layer.active_adapters)
        self._disabled = layer.disable_adapters
        self._scaling = dict(layer.scaling)

    def apply(self, weights: Mapping[str, float]) -> None:
        here = {slot: weight for slot, weight in weights.items() if slot in self._layer.scaling}
        self._switch(list(here), is_disabled=not here)
        for slot, weight in here.items():
            self._layer.set_scale(slot, weight)

    def restore(self) -> None:
        self._switch(self._active, self._disabled)
        self._layer.scaling.update(self._scaling)

    def _switch(self, active: list[str], is_disabled: bool) -> None:
        """Let PEFT switch where something changes: it goes through the parameters of all adapters."""
        changes = is_disabled != self._layer.disable_adapters
        if changes:
            self._layer.enable_adapters(not is_disabled)
        if changes or active != self._layer.active_adapters:
            self._layer.set_adapter(active, inference_mode=True)


def lora_layers(model: nn.Module) -> Iterator[LoraLayer]:
    """All LoRA layers of a model that carries adapters; none when it carries none."""
    return (module for module in model.modules() if isinstance(module, LoraLayer))


def mount(
    model: nn.Module, config: LoraConfig, slot: str, weights: Mapping[str, Tensor], is_skeleton: bool
) -> tuple[PeftModel, str]:
    """Put plain LoRA weights beside the adapters that are there, inactive.

    `model` is the causal LM, or the PeftModel that an earlier mount returned, and may be a skeleton without
    weights; a remark says where weights are not named as PEFT names them. An exception, an ArtefactError
    where weights do not fit, leaves the model as it was.
    """
    try:
        mounted = _injected(model, config, slot, is_skeleton)
        expected = get_peft_model_state_dict(mounted, None, slot, save_embedding_layers=False)
        named_weights = named(mounted, config, slot, expected, weights)
        for layer in lora_layers(mounted):
            _place(layer, slot)
        set_peft_model_state_dict(
            mounted, named_weights.weights, adapter_name=slot, low_cpu_mem_usage=is_skeleton
        )
    except Exception:
        _remove(model, slot)
        raise
    for layer in lora_layers(mounted):
        layer.enable_adapters(False)
    return mounted.eval(), named_weights.remark


def _place(layer: LoraLayer, slot: str) -> None:
    # PEFT puts an adapter where the layer's weights are. While they are offloaded that is the meta device,
    # which keeps no numbers, and what is computed with them is made up.
    hook: Any = getattr(layer.get_base_layer(), "_hf_hook", None)
    if slot not in layer.scaling or not getattr(hook, "offload", False):
        return
    if slot not in layer.lora_A or slot in layer.lora_variant:
        raise ArtefactError("is more than plain LoRA on linear layers, which an offloaded base cannot carry")
    for part in (layer.lora_A, layer.lora_B):
        part[slot].to_empty(device=hook.execution_device)


def slot_of(name: str) -> str:
    """Name of an adapter inside PEFT."""
    # PEFT mistakes an adapter named like a part of the network (`layers`, `weight`) for that part, and a
    # module cannot have the name of a method (`keys`).
    return f"adapter-{name}"


def _injected(model: nn.Module, config: LoraConfig, slot: str, is_skeleton: bool) -> PeftModel:
    # DoRA reckons with the base's weights when it begins, which a skeleton has not.
    if isinstance(model, PeftModel):
        model.add_adapter(slot, config, low_cpu_mem_usage=is_skeleton)
        return model
    return PeftModel(model, config, adapter_name=slot, low_cpu_mem_usage=is_skeleton)


def _remove(model: nn.Module, slot: str) -> None:
    for layer in lora_layers(model):
        layer.delete_adapter(slot)
    if isinstance(model, PeftModel):
        model.peft_config.pop(slot, None)
    else:
        vars(model).pop("peft_config", None)
