"""Layers by their names in GGUF, on real families, made small."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from coherence.engine.model.gguf_names import GgufLayer, GgufNames
from coherence.errors import ArtefactError

SMALL = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 64,
    "pad_token_id": 0,
}


def made(family):
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **SMALL))


@pytest.mark.parametrize(
    ("family", "architecture", "layers"),
    [
        ("llama", "llama", 7),
        ("mistral", "llama", 7),
        ("qwen2", "qwen2", 7),
        ("qwen3", "qwen3", 7),
        ("gemma2", "gemma2", 7),
        ("gemma3_text", "gemma3", 7),
        ("phi3", "phi3", 4),
    ],
)
def test_every_linear_layer_of_a_block_has_a_name_and_its_name_leads_back(family, architecture, layers):
    model = made(family)
    names = GgufNames(model)
    assert names.architecture == architecture
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    found = [names.layer(name) for name in linear if name != "lm_head"]
    assert len({layer.tensor for layer in found}) == 2 * layers
    assert all(names.layer_of(layer.tensor) is layer for layer in found)
    assert names.layer("lm_head") is None
    reordered = {layer.module.rpartition(".")[2]: layer.heads for layer in found if layer.heads}
    assert reordered == ({"q_proj": 4, "k_proj": 2} if architecture == "llama" else {})


def test_the_order_of_rows_is_taken_back():
    rows = torch.arange(48.0).reshape(24, 2)
    layer = GgufLayer("q_proj", "attn_q", 2)
    # Of each head the first of one half, the first of the other, and so on.
    assert layer.ordered(rows)[:, 0].tolist()[:6] == [0, 12, 2, 14, 4, 16]
    assert torch.equal(layer.reordered(layer.ordered(rows)), rows)
    assert torch.equal(GgufLayer("v_proj", "attn_v", 0).ordered(rows), rows)


def test_a_family_that_nobody_here_writes_is_named():
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", n_layer=1, n_embd=32, n_head=2))
    with pytest.raises(
        ArtefactError, match="cannot be had as GGUF on a base of the type gpt2; expected one of"
    ):
        GgufNames(model)
