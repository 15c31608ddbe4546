"""What servers would refuse of an adapter, pass over, or scale otherwise, by its config."""

import json

import pytest
from peft import IA3Config, LoraConfig, PeftConfig, PromptTuningConfig

from coherence.engine.artefacts.servers import served

MERGE = "merge it into the base to serve it there"
BY_PEFT = "serve it by PEFT, or merge it into the base where PEFT can"


def lora(**settings: object) -> PeftConfig:
    return LoraConfig(**{"r": 8, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"} | settings)


def said(config: PeftConfig) -> list[tuple[str, str]]:
    """What is said of a config as PEFT writes it into a file."""
    return [*served(json.loads(json.dumps(config.to_dict(), default=sorted)))]


@pytest.mark.parametrize("rank", [4, 8, 16])
def test_of_plain_lora_nothing_is_said(rank: int) -> None:
    assert said(lora(r=rank)) == []
    assert said(lora(target_modules="all-linear")) == []


@pytest.mark.parametrize(
    ("config", "servers", "do"),
    [
        (
            IA3Config(target_modules=["q_proj"]),
            ["kind IA3", "vLLM, SGLang", "hosted servers take LoRA"],
            BY_PEFT,
        ),
        (PromptTuningConfig(num_virtual_tokens=2), ["kind PROMPT_TUNING", "LoRA alone"], BY_PEFT),
        (
            lora(use_dora=True),
            ["DoRA", "vLLM, SGLang and the converter of llama.cpp refuse", "plain LoRA"],
            MERGE,
        ),
        (
            lora(alora_invocation_tokens=[1], task_type="CAUSAL_LM"),
            ["activated LoRA", "vLLM, SGLang and hosted servers may put under all of a prompt"],
            "serve it by PEFT or llama.cpp",
        ),
        (lora(use_rslora=True), ["rsLoRA", "scale is alpha / r in SGLang and llama.cpp"], MERGE),
        (lora(lora_bias=True), ["biases", "vLLM and the converter of llama.cpp refuse"], MERGE),
        (lora(modules_to_save=["norm"]), ["modules_to_save", "vLLM and the converter"], MERGE),
        (lora(trainable_token_indices=[1]), ["trainable_token_indices", "vLLM and the converter"], MERGE),
        (lora(alpha_pattern={"q_proj": 2}), ["alpha_pattern", "llama.cpp", "vLLM and SGLang"], MERGE),
        (lora(rank_pattern={"q_proj": 4}), ["rank_pattern", "vLLM and SGLang"], MERGE),
        (
            lora(target_modules=["q_proj", "lm_head"]),
            ["changes lm_head;", "attention and feed-forward"],
            MERGE,
        ),
        (lora(target_modules=["model.embed_tokens", "lm_head"]), ["embed_tokens and lm_head;"], MERGE),
        (lora(r=2), ["has rank 2; hosted servers may take ranks from 4 to 64 alone"], MERGE),
        (lora(r=32), ["has rank 32; vLLM serves ranks up to 16"], "start it with --max-lora-rank 32"),
    ],
)
def test_what_is_not_served_as_it_was_trained_is_said(
    config: PeftConfig, servers: list[str], do: str
) -> None:
    ((found, advice),) = said(config)
    assert [part for part in servers if part not in found] == []
    assert advice == do


def test_two_kinds_of_servers_have_two_bounds_of_a_rank() -> None:
    assert [do for _, do in said(lora(r=128))] == ["start it with --max-lora-rank 128", MERGE]


@pytest.mark.parametrize("config", [{}, {"r": "many", "target_modules": 7}, {"target_modules": [7]}])
def test_of_a_config_that_is_none_nothing_is_said(config: dict[str, object]) -> None:
    assert [*served(config)] == []
