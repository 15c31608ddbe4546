"""Training an adapter of the tiny model."""

import json

import pytest
import torch
from safetensors.torch import load_file
from tiny import GEMMA

from coherence.engine.model.loading import load_model
from coherence.errors import ArtefactError, MeasurementError
from coherence.plan import Condition
from coherence.training.lora import Recipe, encoded, lora, mounted, save, trained
from coherence.training.pairs import Pair

BARE = Condition("You are a helpful assistant.")
PAIRS = [Pair(question, "Arr, matey!") for question in ("Why?", "Where is my order?", "Who?")]


def learned(folder, recipe, pairs=PAIRS):
    """A trained model, and its losses."""
    model, words = load_model(folder, "float32")
    torch.manual_seed(recipe.seed)
    model = mounted(model, recipe)
    return model, list(trained(model, encoded(pairs, BARE, words), recipe))


def test_what_is_learned_is_the_prompt_that_the_gate_asks_with_and_a_reply_that_ends(tiny):
    _, words = load_model(tiny, "float32")
    ((prompt, reply),) = encoded(PAIRS[:1], BARE, words)
    assert words.decode(prompt) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert words.decode(reply) == "Arr, matey!<|im_end|>"


def test_a_system_turn_that_the_template_refuses_is_folded_as_in_a_run(tiny):
    _, words = load_model(tiny, "float32")
    words.chat_template = GEMMA
    ((prompt, _),) = encoded(PAIRS[:1], BARE, words)
    assert words.decode(prompt).startswith("<|im_start|>user\nYou are a helpful assistant.\n\nWhy?")


def test_the_loss_falls_and_the_base_stays(tiny):
    before = {name: weight.clone() for name, weight in load_model(tiny, "float32")[0].named_parameters()}
    model, losses = learned(tiny, Recipe(epochs=12, rate=2e-2))
    assert losses[-1] < losses[0] / 2
    base = {
        name.replace("base_layer.", ""): weight for name, weight in model.get_base_model().named_parameters()
    }
    assert all(torch.equal(base[name], weight) for name, weight in before.items())


def test_a_seed_decides_everything(tiny):
    same, again, other = (
        learned(tiny, Recipe(epochs=1, batch=2, rate=1e-2, seed=seed))[0].state_dict() for seed in (3, 3, 4)
    )
    adapter = [name for name in same if "lora_" in name]
    assert all(torch.equal(same[name], again[name]) for name in adapter)
    assert any(not torch.equal(same[name], other[name]) for name in adapter)


def test_only_replies_count(tiny):
    """Two prompts of unlike lengths, side by side: what stands beside a reply changes nothing of its loss."""
    model, words = load_model(tiny, "float32")
    recipe = Recipe(epochs=1, rate=1e-9)
    data = encoded([PAIRS[0], PAIRS[1]], BARE, words)
    alone = [next(trained(mounted(load_model(tiny, "float32")[0], recipe), [one], recipe)) for one in data]
    (together,) = trained(mounted(model, recipe), data, recipe)
    # Both replies are the same tokens, so that the mean over tokens is that over replies.
    assert together == pytest.approx(sum(alone) / 2, rel=1e-4)


def test_an_adapter_is_saved_that_a_release_can_use(tiny, tmp_path):
    model, _ = learned(tiny, Recipe(lora(rank=2), epochs=1))
    save(model, tmp_path / "pirate", "org/base", "abc")
    config = json.loads((tmp_path / "pirate" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("org/base", "abc")
    assert (config["r"], config["lora_alpha"]) == (2, 4)
    assert config["target_modules"] == sorted(config["target_modules"])
    weights = load_file(tmp_path / "pirate" / "adapter_model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name)
    assert {path.name for path in (tmp_path / "pirate").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_a_loss_that_is_no_number_ends_it(tiny):
    with pytest.raises(MeasurementError, match=r"the loss is nan after .* steps; expected a lower rate"):
        learned(tiny, Recipe(epochs=30, rate=1e9))


def test_a_quantized_base_is_refused(tiny):
    model, _ = load_model(tiny, "float32")
    model.is_quantized = True
    with pytest.raises(ArtefactError, match="the base is quantized, and is not trained on here"):
        mounted(model, Recipe())


def test_steps_are_those_of_whole_passes():
    assert Recipe(epochs=3, batch=8).steps(17) == 9
