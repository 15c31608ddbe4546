"""LoRA in GGUF is the adapter that it was written from, to the bit where nothing had to be folded."""

from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import torch
from torch import Tensor

from coherence.engine.model.folder import is_checkpoint
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError
from coherence.exports.gguf_lora import write_gguf_lora

IDS = torch.tensor([[5, 9, 40, 41, 7, 8], [60, 3, 17, 20, 20, 1]])
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def logits(host: Host, name: str) -> Tensor:
    with host.switched(((name, 1.0),)):
        result: Tensor = host.model(input_ids=IDS).logits
    return result


@pytest.fixture
def exported(factored, tmp_path: Path) -> Callable[[Path], Path]:
    def exported(adapter: Path) -> Path:
        model, found = factored(adapter)
        write_gguf_lora(tmp_path / "pirate.gguf", model, "pirate", found)
        return tmp_path / "pirate.gguf"

    return exported


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"target_modules": ALL, "r": 3, "lora_alpha": 5},
        {"target_modules": ALL, "use_rslora": True, "lora_alpha": 3},
        {"layers_to_transform": [1, 3]},
    ],
)
def test_it_reads_back_to_the_same_numbers(tiny_adapter, host, exported, settings):
    adapter = tiny_adapter("pirate", **settings)
    host.mount("pirate", adapter)
    host.mount("exported", exported(adapter))
    assert torch.equal(logits(host, "exported"), logits(host, "pirate"))


@pytest.mark.parametrize(
    "settings",
    [
        {"rank_pattern": {"v_proj": 2}},
        {"alpha_pattern": {"down_proj": 3, "layers.1.self_attn.q_proj": 1}},
        {"rank_pattern": {"v_proj": 2}, "use_rslora": True},
    ],
)
def test_scales_of_their_own_are_folded_into_the_factors(tiny_adapter, host, exported, settings):
    adapter = tiny_adapter("pirate", **settings)
    host.mount("pirate", adapter)
    host.mount("exported", exported(adapter))
    torch.testing.assert_close(logits(host, "exported"), logits(host, "pirate"), atol=1e-5, rtol=1e-5)


def test_queries_and_keys_are_in_the_order_in_which_transformers_reads_a_llama(
    factored, tiny_adapter, exported
):
    from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

    adapter = tiny_adapter("pirate", target_modules=ALL)
    file = gguf.GGUFReader(exported(adapter))
    written = {tensor.name: tensor.data for tensor in file.tensors}
    _, found = factored(adapter)
    theirs = LlamaTensorProcessor(config={"num_attention_heads": 2, "num_key_value_heads": 1})
    for module, name in (("q_proj", "attn_q"), ("k_proj", "attn_k"), ("v_proj", "attn_v")):
        up = found[f"model.layers.2.self_attn.{module}"].up.numpy()
        stored = written[f"blk.2.{name}.weight.lora_b"]
        read = theirs.process(stored, f"blk.2.{name}.weight").weights
        assert (read == up).all()
        assert (stored == up).all() == (module == "v_proj")


def test_its_metadata_are_those_that_llama_cpp_asks_for(tiny_adapter, exported):
    path = exported(tiny_adapter("pirate", r=4, lora_alpha=6))
    fields = {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}
    assert fields["general.type"] == "adapter"
    assert fields["general.architecture"] == "llama"
    assert fields["adapter.type"] == "lora"
    assert fields["adapter.lora.alpha"] == 6
    assert not is_checkpoint(path)


def test_an_alpha_of_0_is_a_scale_of_1(tiny_adapter, host, exported):
    ranks = {"r": 4, "lora_alpha": 4, "rank_pattern": {"v_proj": 2}}
    host.mount("pirate", tiny_adapter("pirate", **ranks, alpha_pattern={"v_proj": 2}))
    written = exported(tiny_adapter("doubled", **ranks))
    reader = gguf.GGUFReader(written, "r+")
    reader.fields["adapter.lora.alpha"].parts[-1][0] = 0
    reader.data.flush()
    host.mount("exported", written)
    assert torch.equal(logits(host, "exported"), logits(host, "pirate"))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"use_dora": True}, "has more than two factors for a layer, as DoRA and biases do; merge it"),
        ({"target_modules": ["lm_head"]}, "changes lm_head, which llama.cpp has no LoRA for; merge it"),
        ({"modules_to_save": ["lm_head"]}, "is no LoRA on linear layers alone"),
        (
            {"target_modules": ["embed_tokens", "q_proj"]},
            "changes more than the weights of linear layers; merge",
        ),
    ],
)
def test_what_has_no_place_in_it_is_a_sentence(tiny_adapter, exported, tmp_path, settings, sentence):
    with pytest.raises(ArtefactError, match=sentence):
        exported(tiny_adapter("pirate", **settings))
    assert not list(tmp_path.glob("*pirate.gguf*"))
