"""Plain LoRA does what the adapter does, whatever that says of scales and ranks."""

import json

import pytest
import torch

from coherence.exports.plain_lora import write_plain_lora

IDS = torch.tensor([[5, 9, 40, 41, 7, 8]])


def logits(host, name):
    with host.switched(((name, 1.0),)):
        return host.model(input_ids=IDS).logits


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True, "lora_alpha": 3},
        {"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"down_proj": 3}},
        {"layers_to_transform": [1, 3]},
    ],
)
def test_it_does_the_same_and_says_it_in_one_scale(tiny_adapter, factored, host, tmp_path, settings):
    adapter = tiny_adapter("pirate", **settings)
    write_plain_lora(tmp_path / "plain", *factored(adapter), "tiny", "abc")
    host.mount("pirate", adapter)
    assert host.mount("plain", tmp_path / "plain") == ""
    torch.testing.assert_close(logits(host, "plain"), logits(host, "pirate"), atol=1e-5, rtol=1e-5)
    config = json.loads((tmp_path / "plain" / "adapter_config.json").read_text())
    assert not config["use_rslora"]
    assert not config["alpha_pattern"]
    assert (config["base_model_name_or_path"], config["revision"]) == ("tiny", "abc")


def test_layers_are_named_by_their_last_part_where_that_means_no_others(tiny_adapter, factored, tmp_path):
    for name, settings in (("all", {}), ("some", {"layers_to_transform": [1]})):
        model, found = factored(tiny_adapter(name, target_modules=["v_proj", "q_proj"], **settings))
        write_plain_lora(tmp_path / name, model, found, "tiny")
    targets = [
        json.loads((tmp_path / name / "adapter_config.json").read_text())["target_modules"]
        for name in ("all", "some")
    ]
    assert targets == [
        ["q_proj", "v_proj"],
        ["model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj"],
    ]


def test_the_same_adapter_gives_the_same_bytes(tiny_adapter, factored, tmp_path):
    adapter = tiny_adapter("pirate")
    for name in ("one", "two"):
        model, found = factored(adapter)
        write_plain_lora(tmp_path / name, model, found, "tiny")
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
