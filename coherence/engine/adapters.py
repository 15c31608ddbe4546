"""The adapter regime: PEFT LoRA adapters mounted beside each other, switched and scaled."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model_state_dict,
    load_peft_weights,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from torch import Tensor, nn

from coherence.errors import ArtefactError

Weights = tuple[tuple[str, float], ...]


class Adapters:
    """Activate adapters with weights (their LoRA scale is multiplied), or none at all: the base model.

    Re-entrant; leaving restores the exact prior state (active adapters, scales), also after an exception.
    """

    def __init__(self, model: nn.Module, weights: Weights) -> None:
        self._model = model
        self._weights = dict(weights)
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

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._active = list(layer.active_adapters)
        self._disabled = layer.disable_adapters
        self._scaling = dict(layer.scaling)

    def apply(self, weights: Mapping[str, float]) -> None:
        here = {name: weight for name, weight in weights.items() if name in self._layer.scaling}
        self._layer.enable_adapters(bool(here))
        self._layer.set_adapter(list(here), inference_mode=True)
        for name, weight in here.items():
            self._layer.set_scale(name, weight)

    def restore(self) -> None:
        self._layer.set_adapter(self._active, inference_mode=True)
        self._layer.enable_adapters(not self._disabled)
        self._layer.scaling.update(self._scaling)


def lora_layers(model: nn.Module) -> Iterator[Any]:
    """All LoRA layers of a model that carries adapters; none when it carries none."""
    return (module for module in model.modules() if isinstance(module, LoraLayer))


def mount(model: nn.Module, folder: Path, name: str) -> PeftModel:
    """Load a PEFT LoRA folder beside the adapters that are there, inactive.

    `model` is the causal LM, or the PeftModel that an earlier mount returned. An ArtefactError says why the
    adapter cannot be used: not LoRA, changes more than LoRA does, or made for another base.
    """
    try:
        config = _read_config(folder)
        weights: dict[str, Tensor] = load_peft_weights(str(folder), device="cpu")
        if isinstance(model, PeftModel):
            model.add_adapter(name, config)
        else:
            model = PeftModel(model, config, adapter_name=name)
    except (ValueError, OSError, SafetensorError) as problem:
        raise ArtefactError(f"cannot be mounted: {str(problem).splitlines()[0]}") from problem
    _check_fit(get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False), weights)
    set_peft_model_state_dict(model, weights, adapter_name=name)
    for layer in lora_layers(model):
        layer.enable_adapters(False)
    return model.eval()


def _read_config(folder: Path) -> LoraConfig:
    if not (folder / "adapter_config.json").is_file():
        raise ArtefactError("has no adapter_config.json; expected a PEFT adapter folder")
    config = PeftConfig.from_pretrained(str(folder))
    if not isinstance(config, LoraConfig):
        raise ArtefactError(f"is a {config.peft_type} adapter; expected LORA")
    if config.modules_to_save:
        raise ArtefactError(
            f"replaces whole modules ({', '.join(config.modules_to_save)}); expected LoRA weights alone"
        )
    if config.bias != "none":
        raise ArtefactError(f"changes the biases of the base (bias: {config.bias}); expected bias: none")
    if isinstance(config.init_lora_weights, str) and config.init_lora_weights not in {
        "gaussian",
        "orthogonal",
        "eva",
    }:
        raise ArtefactError(
            f"changes the base weights when it is loaded (init_lora_weights: {config.init_lora_weights}); "
            "expected an adapter converted to plain LoRA"
        )
    config.inference_mode = True
    return config


def _check_fit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for key in expected.keys() & found.keys():
        if expected[key].shape != found[key].shape:
            raise ArtefactError(
                f"was made for another base: {key} is {list(found[key].shape)}, expected {list(expected[key].shape)}"
            )
    odd = sorted(expected.keys() ^ found.keys())
    if odd:
        side = "missing from its weights" if odd[0] in expected else "not a module of this base"
        raise ArtefactError(f"was made for another base: {odd[0]} is {side}")
