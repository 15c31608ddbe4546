"""The adapter regime: PEFT LoRA adapters mounted beside each other, switched and scaled."""

import json
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

from coherence.engine.batch.rows import Weights
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
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
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


def mount(model: nn.Module, folder: Path, name: str) -> PeftModel:
    """Load a PEFT LoRA folder beside the adapters that are there, inactive.

    `model` is the causal LM, or the PeftModel that an earlier mount returned. An ArtefactError says why the
    adapter cannot be used (not LoRA, more than LoRA, or made for another base); the model is then as before.
    """
    slot = slot_of(name)
    with _in_one_sentence(), warnings.catch_warnings():
        # PEFT warns those who train; what matters here is checked here.
        warnings.simplefilter("ignore")
        config = _read_config(folder)
        weights: dict[str, Tensor] = load_peft_weights(str(folder), device="cpu")
        try:
            mounted = _injected(model, config, slot)
            _check_fit(get_peft_model_state_dict(mounted, None, slot, save_embedding_layers=False), weights)
            for layer in lora_layers(mounted):
                _place(layer, slot)
        except Exception:
            _remove(model, slot)
            raise
        set_peft_model_state_dict(mounted, weights, adapter_name=slot)
    for layer in lora_layers(mounted):
        layer.enable_adapters(False)
    return mounted.eval()


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
    if not any((folder / name).is_file() for name in _WEIGHTS):
        # PEFT would take the folder for the name of a repository.
        raise ArtefactError(f"has no weights; expected {_WEIGHTS[0]} beside adapter_config.json")
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
    start = config.init_lora_weights
    if isinstance(start, str) and start not in _HARMLESS_STARTS:
        raise ArtefactError(
            f"changes the base weights when it is loaded (init_lora_weights: {start}); "
            "expected an adapter converted to plain LoRA"
        )
    config.inference_mode = True
    return config


def _injected(model: nn.Module, config: LoraConfig, slot: str) -> PeftModel:
    if isinstance(model, PeftModel):
        model.add_adapter(slot, config)
        return model
    return PeftModel(model, config, adapter_name=slot)


def _remove(model: nn.Module, slot: str) -> None:
    for layer in lora_layers(model):
        layer.delete_adapter(slot)
    if isinstance(model, PeftModel):
        model.peft_config.pop(slot, None)
    else:
        vars(model).pop("peft_config", None)


def _check_fit(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for key in sorted(expected.keys() | found.keys()):
        if key not in expected:
            misfit = f"it holds {key}, for which this base has no place"
        elif key not in found:
            misfit = f"it lacks {key}"
        elif expected[key].shape != found[key].shape:
            misfit = f"{key} is {list(found[key].shape)}, expected {list(expected[key].shape)}"
        else:
            continue
        raise ArtefactError(f"was made for another base: {misfit}")
