"""The adapter regime: PEFT LoRA adapters mounted beside each other, switched and scaled."""

import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from types import TracebackType
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from coherence import limits
from coherence.engine.batch.rows import Weights
from coherence.engine.interventions.adapter_config import read_config
from coherence.engine.interventions.adapter_keys import Named, fits, named_as_expected
from coherence.engine.interventions.adapter_misfit import misfit, other_rank, rank_in
from coherence.engine.interventions.adapter_patterns import spell_out
from coherence.errors import ArtefactError, CoherenceError, reason
from coherence.pickled import unsafe_to_load


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
        self._layer.enable_adapters(bool(here))
        self._layer.set_adapter(list(here), inference_mode=True)
        for slot, weight in here.items():
            self._layer.set_scale(slot, weight)

    def restore(self) -> None:
        self._layer.set_adapter(self._active, inference_mode=True)
        self._layer.enable_adapters(not self._disabled)
        self._layer.scaling.update(self._scaling)


def lora_layers(model: nn.Module) -> Iterator[LoraLayer]:
    """All LoRA layers of a model that carries adapters; none when it carries none."""
    return (module for module in model.modules() if isinstance(module, LoraLayer))


def mount(model: nn.Module, folder: Path, name: str, files: Sequence[Path]) -> tuple[PeftModel, str]:
    """Load a PEFT LoRA folder, its weights from `files`, beside the adapters that are there, inactive.

    `model` is the causal LM, or the PeftModel that an earlier mount returned; a remark says where weights are
    not named as PEFT names them. An ArtefactError says why the adapter cannot be used (not LoRA, more than
    LoRA, or weights that do not fit); the model is then as before.
    """
    slot = slot_of(name)
    with _in_one_sentence(), warnings.catch_warnings():
        # PEFT warns those who train; what matters here is checked here.
        warnings.simplefilter("ignore")
        config = read_config(folder)
        weights = _read_weights(files)
        _check_ranks(config, weights)
        spell_out(config, [name for name, _ in _bare(model).named_modules()])
        try:
            mounted = _injected(model, config, slot)
            named = _named(mounted, config, slot, weights)
            for layer in lora_layers(mounted):
                _place(layer, slot)
            set_peft_model_state_dict(
                mounted, named.weights, adapter_name=slot, low_cpu_mem_usage=_is_skeleton(mounted)
            )
        except Exception:
            _remove(model, slot)
            raise
    for layer in lora_layers(mounted):
        layer.enable_adapters(False)
    return mounted.eval(), named.remark


def _read_weights(files: Sequence[Path]) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for path in files:
        if path.suffix == ".safetensors":
            weights |= load_file(path)
        else:
            weights |= _unpickled(path)
    return weights


def _unpickled(path: Path) -> dict[str, Tensor]:
    if unsafe := unsafe_to_load(path, limits.HEADER_BYTES):
        raise ArtefactError(f"cannot be loaded: {path.name}: {unsafe}")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as problem:
        # torch's own words are advice to run the code.
        raise ArtefactError(f"cannot be loaded: {path.name} is not a whole file of tensors") from problem
    if not isinstance(weights, dict) or not all(map(_is_plain, weights.values())):
        raise ArtefactError(f"cannot be loaded: {path.name} holds other things than dense tensors by name")
    return {str(name): weight for name, weight in weights.items()}


def _is_plain(weight: object) -> bool:
    if not isinstance(weight, Tensor) or weight.is_nested or weight.layout != torch.strided:
        return False
    return not (weight.is_meta or weight.is_quantized)


def _named(mounted: PeftModel, config: LoraConfig, slot: str, weights: Mapping[str, Tensor]) -> Named:
    expected = get_peft_model_state_dict(mounted, None, slot, save_embedding_layers=False)

    def by_peft(found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        read: Mapping[str, Tensor] = convert_peft_adapter_state_dict_for_transformers(
            mounted, config, dict(found), slot
        )
        return read

    named = named_as_expected(expected, weights, by_peft)
    if not fits(expected, named.weights):
        rows: int = mounted.get_input_embeddings().weight.shape[0]
        raise ArtefactError(misfit(expected, named.weights, config, rows))
    return named


def _bare(model: nn.Module) -> nn.Module:
    return model.get_base_model() if isinstance(model, PeftModel) else model


def _check_ranks(config: LoraConfig, weights: Mapping[str, Tensor]) -> None:
    """Refuse a rank that no weight has, before PEFT takes the memory for it."""
    ranks = {key: rank for key in sorted(weights) if (rank := rank_in(key, weights[key]))}
    told = max([config.r, *(config.rank_pattern or {}).values()])
    highest = max(ranks, key=ranks.__getitem__, default="")
    if ranks and told > ranks[highest]:
        raise ArtefactError(other_rank(highest, ranks[highest], told))


def _is_skeleton(model: nn.Module) -> bool:
    return all(weight.is_meta for weight in model.parameters())


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


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except CoherenceError:
        raise
    except Exception as problem:  # PEFT raises nearly anything for a folder that it did not write
        raise ArtefactError(f"cannot be mounted: {reason(problem, SafetensorError)}") from problem


def _injected(model: nn.Module, config: LoraConfig, slot: str) -> PeftModel:
    # DoRA reckons with the base's weights when it begins, which a skeleton has not.
    without_weights = _is_skeleton(model)
    if isinstance(model, PeftModel):
        model.add_adapter(slot, config, low_cpu_mem_usage=without_weights)
        return model
    return PeftModel(model, config, adapter_name=slot, low_cpu_mem_usage=without_weights)


def _remove(model: nn.Module, slot: str) -> None:
    for layer in lora_layers(model):
        layer.delete_adapter(slot)
    if isinstance(model, PeftModel):
        model.peft_config.pop(slot, None)
    else:
        vars(model).pop("peft_config", None)
