"""The kinds of adapters: which of PEFT's can be put into a model, and what makes each weaker or stronger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeGuard

from peft import LoraConfig, PeftConfig, PeftType

from coherence.errors import ArtefactError

# With these LoRA replaces modules, rows of embeddings, biases or single parameters.
GRAFTED = frozenset({"modules_to_save", "trainable_token_indices", "target_parameters", "bias"})


@dataclass(frozen=True)
class AdapterKind:
    """A type of adapter in PEFT.

    `neutral` names parameters of its modules, and the value at which they do nothing; the change that it
    makes to the model is measured out between that and what was trained. None where no parameters are such.
    `must_say` maps settings that PEFT would take for granted to what they are.
    """

    neutral: Mapping[str, float] | None
    must_say: Mapping[str, str] = field(default_factory=dict)


_RANK = {"r": "the rank of its weights"}
_LORA_ALPHA = _RANK | {"lora_alpha": "the alpha that it was trained with"}
_ALPHA = _RANK | {"alpha": "the alpha that it was trained with"}

# Those that tests hold equal to PEFT's own model. What they start with when they are made is not the base's.
KINDS: Mapping[PeftType, AdapterKind] = {
    PeftType.LORA: AdapterKind({"lora_B": 0, "lora_embedding_B": 0}, _LORA_ALPHA),
    PeftType.ADALORA: AdapterKind({"lora_E": 0}, {"lora_alpha": "the alpha that it was trained with"}),
    PeftType.IA3: AdapterKind({"ia3_l": 1}),
    PeftType.VERA: AdapterKind({"vera_lambda_b": 0}, _RANK),
    PeftType.LOHA: AdapterKind({"hada_w1_a": 0}, _ALPHA),
    PeftType.LOKR: AdapterKind({"lokr_w1": 0, "lokr_w1_a": 0}, _ALPHA),
    PeftType.OFT: AdapterKind({"oft_R": 0}),
    PeftType.BOFT: AdapterKind({"boft_R": 0, "boft_s": 1}),
    PeftType.FOURIERFT: AdapterKind(
        {"fourierft_spectrum": 0}, {"scaling": "the scale that it was trained with"}
    ),
    PeftType.C3A: AdapterKind({"c3a_kernel": 0}),
    PeftType.WAVEFT: AdapterKind({"waveft_spectrum": 0}, {"scaling": "the scale that it was trained with"}),
    PeftType.MISS: AdapterKind({"miss_block": 0}),
    PeftType.HIRA: AdapterKind({"hira_B": 0}, _RANK),
    PeftType.GRALORA: AdapterKind({"gralora_B": 0}, _ALPHA),
    PeftType.HRA: AdapterKind(None),
    PeftType.DELORA: AdapterKind(None),
    PeftType.ROAD: AdapterKind(None),
    PeftType.RANDLORA: AdapterKind(None),
    PeftType.VBLORA: AdapterKind(None),
    PeftType.LN_TUNING: AdapterKind({}),
    PeftType.TRAINABLE_TOKENS: AdapterKind({}),
    PeftType.PROMPT_TUNING: AdapterKind(None),
    PeftType.P_TUNING: AdapterKind(None),
    PeftType.PREFIX_TUNING: AdapterKind(None),
}
_WHY_NOT: Mapping[PeftType, str] = {
    PeftType.ADAPTION_PROMPT: "replaces attention by one with tokens of its own",
    PeftType.OSF: "writes to the base when it begins",
    PeftType.POLY: "asks for the number of a task with every text",
    PeftType.XLORA: "weighs its adapters anew for every text, by a pass of its own",
    PeftType.MULTITASK_PROMPT_TUNING: "asks for the number of a task with every text",
}


def kind_of(config: PeftConfig) -> AdapterKind:
    """Return the kind of an adapter; an ArtefactError says why that cannot be put into a model."""
    if config.peft_type is None:
        raise ArtefactError(f"says no peft_type in adapter_config.json; expected one of {_known()}")
    named = type_of(config)
    if named in KINDS:
        return KINDS[named]
    why = _WHY_NOT.get(named, "is none of those that are held equal to PEFT's own model")
    raise ArtefactError(f"is of the PEFT type {named.value}, which {why}; expected one of {_known()}")


def type_of(config: PeftConfig) -> PeftType:
    """Return what PEFT calls the kind of an adapter."""
    return PeftType(config.peft_type)


def is_lora(config: PeftConfig) -> TypeGuard[LoraConfig]:
    """Whether it is LoRA, whatever is beside it; AdaLoRA, whose class follows from it, is not."""
    return config.peft_type == PeftType.LORA


def is_plain(config: PeftConfig) -> TypeGuard[LoraConfig]:
    """Whether it is LoRA on modules and nothing beside it, which many of can lie in a model at once."""
    default = LoraConfig()
    return is_lora(config) and not any(
        is_set(getattr(config, name), getattr(default, name)) for name in GRAFTED
    )


def _known() -> str:
    return ", ".join(sorted(kind.value for kind in KINDS))


def is_set(value: object, default: object) -> bool:
    """Whether a setting says anything."""
    return bool(value) and value != default
