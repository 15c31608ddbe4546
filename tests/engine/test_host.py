import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from coherence.engine.host import Host
from coherence.errors import ArtefactError

IDS = torch.tensor([[5, 9, 40], [60, 3, 17]])


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "copy")


def test_a_folder_is_loaded_in_the_dtype_that_was_asked_for(tiny: Path) -> None:
    host = Host.load(tiny, "bfloat16")
    assert (host.width, len(host.blocks)) == (32, 4)
    assert {weight.dtype for weight in host.model.parameters()} == {torch.bfloat16}
    assert not host.model.training
    assert not any(weight.requires_grad for weight in host.model.parameters())


def test_tied_weights_are_not_missing(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    weights = load_file(copy / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    head = Host.load(copy, "float32").model.lm_head.weight
    assert torch.equal(head, weights["model.embed_tokens.weight"])


def test_weights_that_are_missing_are_not_made_up(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.2.mlp.up_proj.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ArtefactError, match=r"its weights lack model.layers.2.mlp.up_proj.weight"):
        Host.load(copy, "float32")


def test_weights_of_another_shape(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(16)
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ArtefactError, match="cannot be loaded: "):
        Host.load(copy, "float32")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_half_a_file(copy: Path, name: str) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArtefactError, match="cannot be loaded: "):
        Host.load(copy, "float32")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_is_missing(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ArtefactError, match="cannot be loaded: "):
        Host.load(copy, "float32")


def test_a_tokenizer_without_a_pad_token(host: Host) -> None:
    host.tokenizer.pad_token = None
    assert host.pad == 0


def test_an_adapter_that_changes_nothing(host: Host, tiny_adapter: Callable[..., Path]) -> None:
    # As PEFT leaves it when nobody trains it: B is zero.
    folder = tiny_adapter("pirate")
    path = folder / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name: value * ("lora_A" in name) for name, value in weights.items()}, path)
    with pytest.raises(ArtefactError, match="changes nothing: the logits are those of the base model"):
        host.mount("pirate", folder)


def test_under_puts_everything_back_also_after_an_exception(
    host: Host, tiny_adapter: Callable[..., Path]
) -> None:
    host.mount("pirate", tiny_adapter("pirate"))
    before = {name: value.clone() for name, value in host.model.state_dict().items()}
    bare = host.model(input_ids=IDS).logits
    under = (("pirate", 0.5),), [{}, {0: torch.ones(32)}]
    with host.under(*under):
        changed = host.model(input_ids=IDS).logits
    with pytest.raises(ZeroDivisionError), host.under(*under):
        _ = 1 / 0
    after = host.model.state_dict()
    assert (changed - bare).abs().amax(dim=(1, 2)).min() > 0.01
    assert torch.equal(host.model(input_ids=IDS).logits, bare)
    assert all(torch.equal(after[name], value) for name, value in before.items())
