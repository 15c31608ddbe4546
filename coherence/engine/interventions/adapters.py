"""The adapter regime: PEFT LoRA adapters mounted beside each other, switched and scaled."""

import json
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from coherence.engine.batch.rows import Weights
from coherence.engine.interventions.adapter_keys import Named, fits, named_as_expected
from coherence.engine.interventions.adapter_misfit import misfit
from coherence.errors import ArtefactError, CoherenceError, reason

# Settings that may differ from PEFT's defaults. All others make an adapter more than a low-rank change of
# weights: they replace modules, write to the base, or act on some tokens only.
_PLAIN = frozenset(
    {
        *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
        *("r", "lora_alpha", "use_rslora", "use_dora", "lora_bias", "rank_pattern", "alpha_pattern"),
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "fan_in_fan_out"),
        *("inference_mode", "lora_dropout", "init_lora_weights", "loftq_config", "eva_config"),
        *("qalora_group_size", "megatron_core", "runtime_config", "ensure_weight_tying"),
    }
)
# What PEFT would take for what a config does not say, in silence.
_MUST_SAY = {"r": "the rank of its weights", "lora_alpha": "the alpha that it was trained with"}
# The others subtract what they start with from the base weights.
_HARMLESS_STARTS = ("gaussian", "orthogonal", "eva")


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
        config = _read_config(folder)
        weights = _read_weights(files)
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
            weights |= torch.load(path, map_location="cpu", weights_only=True)
    return weights


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


def _read_config(folder: Path) -> LoraConfig:
    if not (folder / "adapter_config.json").is_file():
        raise ArtefactError("has no adapter_config.json; expected a PEFT adapter folder")
    config = PeftConfig.from_pretrained(str(folder))
    if not isinstance(config, LoraConfig):
        raise ArtefactError(f"is of the PEFT type {config.peft_type.value}; expected LORA")
    # As they are written: PEFT drops the settings that it does not know.
    written = json.loads((folder / "adapter_config.json").read_bytes())
    for name in sorted(written.keys() - _PLAIN):
        if written[name] and written[name] != getattr(LoraConfig(), name, None):
            raise ArtefactError(
                f"sets {name} to {written[name]!r}; expected plain LoRA, rsLoRA or DoRA weights"
            )
    for name, what in _MUST_SAY.items():
        if name not in written:
            raise ArtefactError(
                f"says no {name} in adapter_config.json, and PEFT would take {getattr(config, name)}; "
                f"expected {what}"
            )
    start = config.init_lora_weights
    if isinstance(start, str) and start not in _HARMLESS_STARTS:
        raise ArtefactError(
            f"changes the base weights when it is loaded (init_lora_weights: {start}); "
            "expected an adapter converted to plain LoRA"
        )
    config.inference_mode = True
    return config


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
