"""The config of an adapter, read as it is written: what PEFT would pass over, or believe, is refused here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftConfig, PeftType

from coherence import limits
from coherence.engine.interventions.adapter_kinds import GRAFTED, is_set, kind_of, type_of
from coherence.errors import ArtefactError, did_you_mean, shortened
from coherence.files import read_file

_NAME = "adapter_config.json"
# Settings that may differ from PEFT's defaults. All others make an adapter more than a low-rank change of
# weights: they replace modules, write to the base, or act on some tokens only.
_PLAIN = frozenset(
    {
        *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
        *("r", "lora_alpha", "use_rslora", "use_dora", "lora_bias", "rank_pattern", "alpha_pattern"),
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "fan_in_fan_out"),
        *("inference_mode", "lora_dropout", "init_lora_weights", "loftq_config", "eva_config"),
        *("qalora_group_size", "megatron_core", "runtime_config", "ensure_weight_tying"),
        "alora_invocation_tokens",
    }
)
_WHY_NOT: Mapping[str, str] = {
    "layer_replication": ", with which it copies layers",
}
# PEFT computes with what is written there.
_NEVER_NULL = frozenset({"r", "lora_alpha"})
# No scale of anything that was trained; NaN is not below it.
_LARGEST = 1e9
# The others subtract what they start with from the base weights.
_HARMLESS_STARTS = ("gaussian", "orthogonal", "eva")


def read_config(folder: Path) -> PeftConfig:
    """Read the config of an adapter folder; an ArtefactError says what it asks for that cannot be had."""
    if not (folder / _NAME).is_file():
        raise ArtefactError(f"has no {_NAME}; expected a PEFT adapter folder")
    # As it is written: PEFT drops the settings that it does not know.
    written = json.loads(read_file(folder / _NAME, limits.CONFIG_BYTES))
    if not isinstance(written, dict):
        raise ArtefactError(f"holds {shortened(written)} in {_NAME}; expected the settings of an adapter")
    _check_types(written)
    config: PeftConfig = PeftConfig.from_pretrained(str(folder))
    kind = kind_of(config)
    if type_of(config) is PeftType.LORA:
        _check_lora(written)
    else:
        _check_known(config, written)
    for name, what in kind.must_say.items():
        if name not in written:
            raise ArtefactError(
                f"says no {name} in {_NAME}, and PEFT would take {getattr(config, name)}; expected {what}"
            )
    start = getattr(config, "init_lora_weights", None)
    if isinstance(start, str) and start not in _HARMLESS_STARTS:
        raise ArtefactError(
            f"changes the base weights when it is loaded (init_lora_weights: {start}); "
            "expected an adapter converted to plain LoRA"
        )
    config.inference_mode = True
    return config


def _check_lora(written: Mapping[str, Any]) -> None:
    for name in sorted(written.keys() - _PLAIN - GRAFTED):
        if is_set(written[name], getattr(LoraConfig(), name, None)):
            raise ArtefactError(
                f"sets {name} to {shortened(written[name])}{_WHY_NOT.get(name, '')}; expected plain LoRA, "
                f"rsLoRA or DoRA weights, with no more than {', '.join(sorted(GRAFTED))} beside them"
            )


def _check_known(config: PeftConfig, written: Mapping[str, Any]) -> None:
    known = {each.name for each in fields(config)}
    for name in sorted(written.keys() - known):
        if written[name]:
            raise ArtefactError(
                f"sets {name} to {shortened(written[name])} in {_NAME}, which the PEFT here does not know of "
                f"{type_of(config).value}{did_you_mean(name, known)}"
            )


def _check_types(written: Mapping[str, Any]) -> None:
    # Other kinds have ranks of 0 where they are told sizes of blocks.
    of_all = _TYPES.keys() - ({"r"} if written.get("peft_type", "LORA") != "LORA" else set())
    for name, (expected, is_one) in ((name, _TYPES[name]) for name in _TYPES if name in of_all):
        value = written.get(name)
        unsaid = value is None and not (name in _NEVER_NULL and name in written)
        if not unsaid and not is_one(value):
            raise ArtefactError(f"sets {name} to {shortened(value)} in {_NAME}; expected {expected}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_rank(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_names(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _are_layers(value: object) -> bool:
    return all(isinstance(one, int) for one in (value if isinstance(value, list) else [value]))


def _are_token_ids(value: object) -> bool:
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)


def _maps_to(is_one: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(is_one, value.values()))


_TYPES: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "r": ("a rank, such as 8", _is_rank),
    "lora_alpha": ("a number", _is_number),
    "lora_dropout": ("a number", _is_number),
    "rank_pattern": ("ranks by names of modules", _maps_to(_is_rank)),
    "alpha_pattern": ("numbers by names of modules", _maps_to(_is_number)),
    "target_modules": ("names of modules", _are_names),
    "exclude_modules": ("names of modules", _are_names),
    "layers_pattern": ("names of lists of layers", _are_names),
    "layers_to_transform": ("numbers of layers", _are_layers),
    "alora_invocation_tokens": ("a list of token ids", _are_token_ids),
}
