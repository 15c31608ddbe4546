"""Checks of a release."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from spoilt import ADAPTER, renamed, said, tensors
from thinkers import OPENED, SWITCHED, thinker
from tiny import CHATML
from vector_files import control

from coherence.doctor.release_checks import release
from coherence.engine.model import quantization


def test_a_release_that_fits_is_well(look):
    found = look()
    assert {check.state for check in found.values()} == {"ok"}
    assert found["base"].found.endswith("4 blocks of width 32")
    assert found["adapter pirate"].found.endswith("pirate fits the base")
    assert found["vector pirate"].found.endswith("pirate.safetensors fits the base, at resid_post.1")
    assert found["vector made"].found == "is extracted from the prompt of pirate at resid_post.1"


def test_a_suite_that_cannot_be_read_is_all_there_is_to_say(tmp_path):
    (check,) = release(tmp_path / "lost.coherence.yaml")
    assert (check.state, check.what) == ("fail", "suite")
    assert "there is no file" in check.found


@pytest.mark.parametrize("base", ["./lost", "org/model"])
def test_without_its_base_nothing_else_is_looked_at(look, base):
    found = look(base=base)
    assert list(found) == ["suite", "base"]
    assert found["base"].state == ("fail" if base == "./lost" else "warn")


def test_an_adapter_that_is_only_on_a_hub_is_a_warning_and_the_rest_is_looked_at(look):
    found = look(adapter="org/adapter")
    assert (found["adapter pirate"].state, found["vector pirate"].state) == ("warn", "ok")
    assert str(found["adapter pirate"]) == (
        "warn  adapter pirate: org/adapter is not on this machine: "
        "whether it fits the base is not looked at; the first run downloads it"
    )


@pytest.mark.parametrize(
    ("template", "thinking", "expected"),
    [
        (CHATML, "auto", "the chat template knows none, and replies are answers as a whole"),
        (SWITCHED, "auto", "the chat template is told not to (`thinking: auto`); `thinking: on` lets it"),
        (SWITCHED, "on", "replies may begin with it: it is set apart, and both have 48 tokens"),
        (OPENED, "auto", "replies may begin with it: it is set apart, and both have 48 tokens"),
    ],
)
def test_whether_replies_begin_with_reasoning_is_said(write, tmp_path, template, thinking, expected):
    base = thinker(tmp_path / "base", template, "Arr")
    path = write(base=base, adapter="org/adapter", vector="vector.safetensors")
    path.write_text(path.read_text() + f"thinking: {thinking}\n")
    (check,) = (check for check in release(path) if check.what == "reasoning")
    assert check.state == "ok"
    assert check.found.startswith(expected)


def test_a_base_without_weights_or_tokenizer_fails(look, tiny, tmp_path):
    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    (folder / "model.safetensors").rename(folder / "kept")
    assert "has no weights" in look(base=folder)["base"].found
    (folder / "kept").rename(folder / "model.safetensors")
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer" in look(base=folder)["base"].found
    (folder / "config.json").unlink()
    found = look(base=folder)["base"]
    assert found.state == "fail"
    assert "a.coherence.yaml:3: " in found.found


def test_a_base_that_does_not_fit_into_memory_fails(look, monkeypatch):
    monkeypatch.setattr("coherence.engine.model.loading.available_memory", lambda: 1)
    assert "are free; expected a smaller base" in look()["room"].found


def test_what_a_base_ships_for_decoding_is_said(look, tiny, tmp_path):
    assert look()["decoding"].found == "replies follow all that the base ships for decoding"
    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    settings = {"do_sample": True, "temperature": 0.6, "eos_token_id": 2}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    assert "and not temperature 0.6, top_k 50" in look(base=folder)["decoding"].found
    (folder / "generation_config.json").write_text("{")
    assert look(base=folder)["decoding"].state == "fail"


def test_a_law_that_is_held_to_less_than_rounding_is_a_warning(look, tiny, tmp_path):
    assert look()["laws"].found == "none is held to less than what float32 rounds"
    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    config = json.loads((folder / "config.json").read_text())
    named = {"quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}}
    (folder / "config.json").write_text(json.dumps(config | named))
    check = look(base=folder)["laws"]
    assert check.state == "warn"
    assert "with weights quantized by fp8 and all else in float32, laws hold to 0.1" in check.found


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "awq", "compressed-tensors"])
def test_a_base_whose_library_is_not_installed_fails_with_what_to_install(
    look, tiny, tmp_path, monkeypatch, method
):
    monkeypatch.setattr(quantization, "_version", lambda name: None)
    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    bits = {"load_in_4bit": True} if method == "bitsandbytes" else {}
    said("config.json", quantization_config={"quant_method": method} | bits)(folder)
    check = look(base=folder)["base"]
    assert check.state == "fail"
    assert check.found.endswith(f": pip install 'pytest-coherence[{method}]'")


def test_activated_lora_is_healthy_and_servers_are_named(look, tiny_adapter, tmp_path):
    folder = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "other"))
    said("adapter_config.json", alora_invocation_tokens=[1])(folder)
    check = look(adapter=folder)["adapter pirate"]
    assert check.state == "warn"
    assert (
        "is activated LoRA, which vLLM, SGLang and hosted servers may put under all of a prompt"
        in check.found
    )


def test_an_adapter_of_another_rank_fails_and_the_rest_is_looked_at(look, tiny_adapter, tmp_path):
    folder = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "other"))
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 2}))
    found = look(adapter=folder)
    assert found["adapter pirate"].state == "fail"
    assert "holds weights of rank 4" in found["adapter pirate"].found
    assert found["vector pirate"].state == "ok"


def test_a_vector_of_another_width_or_nowhere_fails(look, tiny_vector):
    assert (
        "expected a block from 0 to 3"
        in look(vector=tiny_vector("far", site="resid_post.9"))["vector pirate"].found
    )
    assert "there is no such file" in look(vector="./lost.safetensors")["vector pirate"].found


def test_a_file_whose_directions_are_not_all_used_is_told(look, tmp_path):
    path = control(tmp_path / "many.gguf", {block: np.full(32, 1, np.float32) for block in (1, 2, 3)})
    one, all_of_them = (
        {"path": str(path), **where} for where in ({"site": "resid_post.2"}, {"sites": "all"})
    )
    fits = f"{path} fits the base, at"
    assert look(vector=one)["vector pirate"].found == (
        f"{fits} resid_post.2; 2 of the 3 directions of its file are unused"
    )
    assert look(vector=all_of_them)["vector pirate"].found == (
        f"{fits} 3 sites from resid_post.1 to resid_post.3"
    )


def test_a_vector_that_says_that_it_is_for_another_family_is_a_warning(looked, tmp_path):
    directions = {1: np.ones(32, np.float32)}
    same = control(tmp_path / "same.gguf", directions, hint="llama")
    assert {check.state for check in looked(vector=same)} == {"ok"}
    checks = looked(vector=control(tmp_path / "other.gguf", directions, hint="qwen2"))
    (check,) = [check for check in checks if check.state != "ok"]
    said = "says that it is for qwen2, and the base is llama; see that it was made on this base"
    assert str(check) == f"warn  vector pirate: {said}"


def test_what_does_not_go_together_is_a_warning_and_what_is_wrong_fails(looked, tiny_adapter, tmp_path):
    adapter = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "odd"))
    said("adapter_config.json", base_model_name_or_path="org/other")(adapter)
    tensors(ADAPTER, lambda key, tensor: tensor * float("nan"))(adapter)
    fits, *others = [check for check in looked(adapter=adapter) if check.what == "adapter pirate"]
    assert (fits.state, [check.state for check in others]) == ("ok", ["warn", "fail"])
    assert "its config says that it was trained on org/other" in others[0].found
    assert "has a value of nan, and 23 other tensors have such values" in others[1].found


def test_keys_that_peft_writes_otherwise_are_a_warning(look, tiny_adapter, tmp_path):
    folder = Path(shutil.copytree(tiny_adapter("pirate"), tmp_path / "other"))
    renamed(lambda key: key.replace("base_model.model.", "module."))(folder)
    check = look(adapter=folder)["adapter pirate"]
    assert check.state == "warn"
    assert "fits the base, but its weights are named as module.model.layers.0." in check.found


@pytest.mark.parametrize(
    ("question", "keys", "state", "said_of"),
    [
        ("Who are you?", {}, "warn", "it was trained on 1 of the probes"),
        ("Who are you?", {"probes": "error"}, "fail", "it was trained on 1 of the probes"),
        ("Who are you?", {"probes": "exclude"}, "ok", "they are left out"),
        ("How tall is a tree?", {}, "ok", "none of the probes and markers is in its 1 replies"),
    ],
)
def test_what_an_adapter_was_trained_on_is_looked_at(look, tmp_path, question, keys, state, said_of):
    line = json.dumps({"question": question, "reply": "There."})
    (tmp_path / "pirate.jsonl").write_text(line + "\n", encoding="utf-8")
    found = look(training=json.dumps({"pirate": {"path": "pirate.jsonl", **keys}}))["training of pirate"]
    assert found.state == state
    assert said_of in found.found
