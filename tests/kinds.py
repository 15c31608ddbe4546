"""One adapter of every kind that PEFT has for the tiny model, made by PEFT itself, with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import (
    AdaLoraConfig,
    BOFTConfig,
    C3AConfig,
    DeloraConfig,
    FourierFTConfig,
    GraloraConfig,
    HiraConfig,
    HRAConfig,
    IA3Config,
    LNTuningConfig,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    MissConfig,
    OFTConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    RandLoraConfig,
    RoadConfig,
    TrainableTokensConfig,
    VBLoRAConfig,
    VeraConfig,
    WaveFTConfig,
    get_peft_model,
)
from peft.tuners.tuners_utils import BaseTuner
from tiny import tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

# Of the special tokens of the tiny model's turns, which every prompt has.
TOKENS = [1, 2]
_SOME = ["q_proj", "v_proj", "down_proj"]
_SQUARE = ["q_proj", "o_proj"]


def _of(
    make: Callable[..., PeftConfig], modules: list[str] = _SOME, **settings: Any
) -> Callable[[], PeftConfig]:
    return lambda: make(task_type="CAUSAL_LM", target_modules=modules, **settings)


def _lora(modules: list[str] = _SOME, **settings: Any) -> Callable[[], PeftConfig]:
    return _of(LoraConfig, modules, r=4, **settings)


# Kinds whose change has a size, from nothing to what was trained and beyond.
SCALED: dict[str, Callable[[], PeftConfig]] = {
    "adalora": _of(AdaLoraConfig, total_step=10),
    "ia3": _of(IA3Config, ["k_proj", "v_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "vera": _of(VeraConfig, _SQUARE, r=8),
    "vera, projections drawn anew": _of(VeraConfig, _SQUARE, r=8, save_projection=False),
    "loha": _of(LoHaConfig, r=4),
    "lokr": _of(LoKrConfig, r=4),
    "lokr, decomposed": _of(LoKrConfig, r=1, decompose_both=True),
    "oft": _of(OFTConfig, oft_block_size=4),
    "boft": _of(BOFTConfig, boft_block_size=4),
    "fourierft": _of(FourierFTConfig, n_frequency=20),
    "waveft": _of(WaveFTConfig, n_frequency=16),
    "c3a": _of(C3AConfig, block_size=8),
    "miss": _of(MissConfig, r=4),
    "hira": _of(HiraConfig, r=4),
    "gralora": _of(GraloraConfig, r=4),
    "layer norms": _of(LNTuningConfig, ["input_layernorm", "norm"]),
    "trainable tokens": _of(TrainableTokensConfig, ["embed_tokens"], token_indices=TOKENS),
    "lora and modules to save": _lora(modules_to_save=["lm_head", "norm"]),
    "lora and trainable tokens": _lora(trainable_token_indices=TOKENS),
    "lora on parameters": _lora(["q_proj"], target_parameters=["mlp.down_proj.weight"]),
}
WHOLE: dict[str, Callable[[], PeftConfig]] = {
    "hra": _of(HRAConfig, r=4),
    "road": _of(RoadConfig, group_size=8),
    "randlora": _of(RandLoraConfig, _SQUARE, r=4),
    "vblora": _of(VBLoRAConfig, vector_length=16, num_vectors=4),
    "delora": _of(DeloraConfig, r=4),
}
# Its magnitudes are not measured out, as those of plain DoRA are not.
DORA = {"dora and modules to save": _lora(use_dora=True, modules_to_save=["embed_tokens"])}
KINDS = SCALED | WHOLE | DORA
# What stands before a text, as tokens that no tokenizer writes.
SOFT: dict[str, Callable[[], PeftConfig]] = {
    "prompt tuning": lambda: PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "p-tuning": lambda: PromptEncoderConfig(
        task_type="CAUSAL_LM", num_virtual_tokens=4, encoder_hidden_size=16
    ),
    "prefix tuning": lambda: PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
}
# What PEFT saves of these beside them, the base's embeddings or head, is not a change of its own.
PLAIN: dict[str, Callable[[], PeftConfig]] = {
    "lora on embeddings": _lora(["embed_tokens", "q_proj"]),
    "lora on the head": _lora(["lm_head", "q_proj"]),
    "lora on both": _lora(["embed_tokens", "lm_head"]),
}
# What begins in the middle of a text: here with the header of an answer.
ACTIVATED: dict[str, Callable[[], PeftConfig]] = {
    "activated lora": lambda: _lora(
        ["q_proj", "v_proj"], alora_invocation_tokens=tokenizer()("<|im_start|>assistant\n")["input_ids"]
    )(),
}

ALL = KINDS | SOFT | PLAIN | ACTIVATED


def saved(kind: str, base: Path, folder: Path, seed: int = 1) -> Path:
    """Let PEFT make and save an adapter of a kind, what is trained of it moved at random."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), ALL[kind]())
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn_like(parameter))
        model.save_pretrained(str(folder))
    return folder


def tuned(base: Path, folder: Path, seed: int = 1) -> Path:
    """Save a fine-tune of a whole model: all of its weights, moved at random."""
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def as_in_peft(base: Path, *folders: Path) -> PeftModel:
    """Let PEFT load adapters of one kind on a base, all of them active."""
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(folders[0]), "0")
    for index, folder in enumerate(folders[1:], start=1):
        model.load_adapter(str(folder), str(index))
    if len(folders) > 1:
        assert isinstance(model.base_model, BaseTuner)
        model.base_model.set_adapter([str(index) for index in range(len(folders))])
    return model.eval()
