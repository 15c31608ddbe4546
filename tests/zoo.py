"""Tiny random models of many architecture families, each with a chat tokenizer and two LoRA adapters."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tiny import tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

BLOCKS, WIDTH, WINDOW = 3, 32, 16
ADAPTERS = ("one", "two")

_SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]
_GATED = ("q_proj", "v_proj", "o_proj", "gate_proj", "down_proj")


@dataclass(frozen=True)
class Family:
    """What a family calls its parts, and what its config says beyond the sizes that all share.

    `attention` is the implementation that transformers itself is to be believed with.
    """

    model_type: str
    blocks: str = "model.layers"
    linear: tuple[str, ...] = _GATED
    attention: str = "eager"
    settings: dict[str, Any] = field(default_factory=dict)


FAMILIES = {
    "llama": Family("llama"),
    "qwen2": Family("qwen2"),
    "qwen3": Family("qwen3", settings={"head_dim": 8}),
    "mistral": Family("mistral", settings={"sliding_window": WINDOW}),
    # A query scale and a cap small enough for the capping to bend the logits of so small a model.
    "gemma2": Family(
        "gemma2",
        settings={
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 5.0,
            "sliding_window": WINDOW,
            "layer_types": _SLIDING,
        },
    ),
    "gemma3": Family(
        "gemma3_text",
        settings={
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": WINDOW,
            "layer_types": _SLIDING,
        },
    ),
    "phi3": Family(
        "phi3",
        linear=("qkv_proj", "o_proj", "gate_up_proj", "down_proj"),
        settings={"sliding_window": WINDOW},
    ),
    "olmo2": Family("olmo2"),
    "gpt_neox": Family(
        "gpt_neox",
        blocks="gpt_neox.layers",
        linear=("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
    ),
    "gpt2": Family("gpt2", blocks="transformer.h", linear=("c_attn", "c_proj", "c_fc")),
    "falcon": Family(
        "falcon",
        blocks="transformer.h",
        linear=("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
        settings={"ffn_hidden_size": 2 * WIDTH},
    ),
    # Eager attention of transformers 5 adds its position bias twice.
    "falcon_alibi": Family(
        "falcon",
        blocks="transformer.h",
        linear=("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"),
        attention="sdpa",
        settings={"ffn_hidden_size": 2 * WIDTH, "alibi": True, "multi_query": False, "parallel_attn": False},
    ),
}


@dataclass(frozen=True)
class Animal:
    """A family's model folder, and the folders of its adapters by name."""

    family: Family
    base: Path
    adapters: dict[str, Path]


def born(name: str, folder: Path) -> Animal:
    """Make the model of a family and its adapters, as folders inside `folder`."""
    family, words = FAMILIES[name], tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _model(family, words).save_pretrained(folder / "base")
        words.save_pretrained(folder / "base")
        for adapter in ADAPTERS:
            _adapted(folder / "base", family).save_pretrained(folder / adapter)
    return Animal(family, folder / "base", {adapter: folder / adapter for adapter in ADAPTERS})


def _model(family: Family, words: Any) -> PreTrainedModel:
    config = AutoConfig.for_model(family.model_type, **_sizes(words), **family.settings)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            # Norms and biases, which start out as those that do nothing.
            if weight.dim() == 1:
                weight.add_(0.2 * torch.randn_like(weight))
    return model


def _sizes(words: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(words),
        "num_hidden_layers": BLOCKS,
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }


def _adapted(base: Path, family: Family) -> Any:
    # Without its usual initialisation PEFT leaves B random instead of zero: the adapter does something.
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=4,
        lora_alpha=8,
        init_lora_weights=False,
        target_modules=list(family.linear),
        fan_in_fan_out=family.model_type == "gpt2",
    )
    return get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
