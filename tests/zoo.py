"""Tiny random models of many architecture families, each with a chat tokenizer and two LoRA adapters."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tiny import tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel

BLOCKS, WIDTH, WINDOW = 3, 32, 16
ADAPTERS = ("one", "two")

_SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]
_GATED = ("q_proj", "v_proj", "o_proj", "gate_proj", "down_proj")
_ATTENTION = ("q_proj", "v_proj", "o_proj")
_ROUTED = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": WIDTH}
_LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
# Chunks shorter than the prompts, so that states are handed on between them.
_SCANNED = {
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
    "mamba_chunk_size": 16,
}
_STATES = {"state_size": 8, "expand": 2}
_SEEN = {"hidden_size": 16, "intermediate_size": 16}
_TILES = {"num_hidden_layers": BLOCKS, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}


@dataclass(frozen=True)
class Family:
    """What a family calls its parts, and what its config says beyond the sizes that all share.

    `attention` is the implementation that transformers itself is to be believed with. A wrapper has a config
    of its `vision` model beside that of the text model, whose type is `text` where it must be said.
    """

    model_type: str
    blocks: str = "model.layers"
    linear: tuple[str, ...] = _GATED
    attention: str = "eager"
    settings: dict[str, Any] = field(default_factory=dict)
    vision: dict[str, Any] | None = None
    text: str | None = None


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
    "qwen3_moe": Family("qwen3_moe", linear=_ATTENTION, settings={"head_dim": 8, **_ROUTED}),
    "mixtral": Family(
        "mixtral", linear=_ATTENTION, settings={"head_dim": 8, "sliding_window": WINDOW, **_LOCAL}
    ),
    "gpt_oss": Family(
        "gpt_oss",
        linear=_ATTENTION,
        settings={
            "head_dim": 8,
            "sliding_window": WINDOW,
            "layer_types": _SLIDING,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
            **_LOCAL,
        },
    ),
    "deepseek_v3": Family(
        "deepseek_v3",
        linear=("q_b_proj", "kv_b_proj", "o_proj"),
        settings={
            "num_key_value_heads": 4,
            "q_lora_rank": 8,
            "kv_lora_rank": 8,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 8,
            "v_head_dim": 8,
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "num_experts_per_tok": 2,
            "n_group": 2,
            "topk_group": 1,
            "moe_intermediate_size": WIDTH,
            "first_k_dense_replace": 1,
        },
    ),
    "jamba": Family(
        "jamba",
        linear=("q_proj", "v_proj", "in_proj"),
        settings={
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "attn_layer_period": 3,
            "attn_layer_offset": 1,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
        },
    ),
    "qwen3_next": Family(
        "qwen3_next",
        linear=(*_ATTENTION, "in_proj_qkvz", "out_proj"),
        settings={
            "head_dim": 8,
            "layer_types": ["linear_attention", "full_attention", "linear_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "shared_expert_intermediate_size": WIDTH,
            **_ROUTED,
        },
    ),
    "falcon_h1": Family(
        "falcon_h1",
        linear=(*_ATTENTION, "in_proj"),
        settings={"head_dim": 8, "mamba_d_ssm": 64, **_SCANNED},
    ),
    "granitemoehybrid": Family(
        "granitemoehybrid",
        linear=("q_proj", "v_proj", "in_proj", "input_linear"),
        settings={
            "layer_types": ["mamba", "attention", "mamba"],
            "shared_intermediate_size": WIDTH,
            **_SCANNED,
            **_LOCAL,
        },
    ),
    "lfm2": Family(
        "lfm2",
        linear=("q_proj", "v_proj", "in_proj", "w1", "w2"),
        settings={"layer_types": ["conv", "full_attention", "conv"], "block_auto_adjust_ff_dim": False},
    ),
    "mamba2": Family(
        "mamba2",
        blocks="backbone.layers",
        linear=("in_proj",),
        settings={"num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 16, **_STATES},
    ),
    # Its cache cannot go on from rows that were padded.
    "mamba": Family(
        "mamba",
        blocks="backbone.layers",
        linear=("in_proj",),
        settings={"time_step_rank": 4, **_STATES},
    ),
    "qwen2_5_vl": Family(
        "qwen2_5_vl",
        blocks="model.language_model.layers",
        settings={"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}},
        vision={**_SEEN, "depth": BLOCKS, "out_hidden_size": WIDTH, "num_heads": 2},
    ),
    "qwen3_vl": Family(
        "qwen3_vl",
        blocks="model.language_model.layers",
        settings={
            "head_dim": 8,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]},
        },
        vision={
            **_SEEN,
            "depth": BLOCKS,
            "out_hidden_size": WIDTH,
            "num_heads": 2,
            "num_position_embeddings": 16,
            "deepstack_visual_indexes": [0],
        },
    ),
    "mistral3": Family(
        "mistral3",
        blocks="model.language_model.layers",
        settings={"head_dim": 8, "sliding_window": None},
        vision={**_SEEN, **_TILES, "model_type": "pixtral", "head_dim": 8},
        text="mistral",
    ),
    "gemma3_vision": Family(
        "gemma3",
        blocks="model.language_model.layers",
        settings={
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": WINDOW,
            "layer_types": _SLIDING,
        },
        vision={**_SEEN, **_TILES},
        text="gemma3_text",
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


def loaded(folder: Path, **how: Any) -> PreTrainedModel:
    """Load a model by the class that transformers has for it."""
    wrapper = "vision_config" in json.loads((folder / "config.json").read_text())
    family: Any = AutoModelForImageTextToText if wrapper else AutoModelForCausalLM
    model: PreTrainedModel = family.from_pretrained(folder, **how)
    return model


def _model(family: Family, words: Any) -> PreTrainedModel:
    model: PreTrainedModel
    if family.vision is None:
        config = AutoConfig.for_model(family.model_type, **_sizes(words) | family.settings)
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    else:
        named = {"model_type": family.text} if family.text else {}
        config = AutoConfig.for_model(
            family.model_type,
            text_config=_sizes(words) | family.settings | named,
            vision_config=family.vision,
            tie_word_embeddings=False,
        )
        model = AutoModelForImageTextToText.from_config(config)  # type: ignore[no-untyped-call]
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
    return get_peft_model(loaded(base), config)
