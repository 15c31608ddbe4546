"""Artefacts as they must not be: each spoils a copy of a healthy one of the tiny model."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

Spoil = Callable[[Path], object]
WEIGHTS, ADAPTER = "model.safetensors", "adapter_model.safetensors"


def text(name: str, written: str) -> Spoil:
    return lambda folder: (folder / name).write_text(written)


def gone(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def cut(name: str, size: int) -> Spoil:
    return lambda folder: os.truncate(folder / name, size)


def folder_for(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def pipe_for(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoil


def said(name: str, **settings: Any) -> Spoil:
    """Settings of a JSON file that are other ones."""

    def spoil(folder: Path) -> None:
        written = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(written | settings))

    return spoil


def tensors(name: str, change: Callable[[str, torch.Tensor], torch.Tensor | None]) -> Spoil:
    """Each tensor changed, or left out."""

    def spoil(folder: Path) -> None:
        changed = {key: change(key, tensor) for key, tensor in load_file(folder / name).items()}
        kept = {key: tensor.contiguous() for key, tensor in changed.items() if tensor is not None}
        save_file(kept, folder / name, {"format": "pt"})

    return spoil


def sharded(folder: Path) -> None:
    """Two shards with an index, of which the second is missing."""
    weights = load_file(folder / WEIGHTS)
    names = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    placed = {key: names[index % 2] for index, key in enumerate(weights)}
    save_file({key: weights[key] for key, name in placed.items() if name == names[0]}, folder / names[0])
    index = {"metadata": {}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / WEIGHTS).unlink()


def old_beside_new(folder: Path) -> None:
    shutil.copy(folder / WEIGHTS, folder / "kept")
    sharded(folder)
    (folder / "kept").rename(folder / WEIGHTS)


BASES: dict[str, Spoil] = {
    "torn": cut(WEIGHTS, 5000),
    "torn-header": cut(WEIGHTS, 100),
    "hollow": cut(WEIGHTS, 0),
    "weightless": gone(WEIGHTS),
    "a-folder-for-weights": folder_for(WEIGHTS),
    "a-pipe-for-weights": pipe_for(WEIGHTS),
    "shard-missing": sharded,
    "old-beside-new": old_beside_new,
    "adapter-beside": text("adapter_config.json", "{}"),
    "wordless": gone("tokenizer.json"),
    "words-torn": cut("tokenizer.json", 300),
    "words-empty": text("tokenizer.json", "{}"),
    "words-of-a-list": text("tokenizer.json", "[1]"),
    "words-settings-of-a-list": text("tokenizer_config.json", "[1]"),
    "a-folder-for-words": folder_for("tokenizer.json"),
    "template-missing": gone("chat_template.jinja"),
    "template-torn": text("chat_template.jinja", "{% for message in messages %}"),
    "template-of-zero": text("chat_template.jinja", "{{ 1 / 0 }}"),
    "template-of-types": text("chat_template.jinja", "{{ messages + 1 }}"),
    "config-missing": gone("config.json"),
    "config-empty": text("config.json", ""),
    "config-of-nothing": text("config.json", "{}"),
    "config-of-a-list": text("config.json", "[]"),
    "config-of-a-number": text("config.json", "7"),
    "more-blocks": said("config.json", num_hidden_layers=6),
    "fewer-blocks": said("config.json", num_hidden_layers=2),
    "wider": said("config.json", hidden_size=64),
    "heads-of-words": said("config.json", num_attention_heads="two"),
    "no-heads": said("config.json", num_attention_heads=0),
    "activation-unknown": said("config.json", hidden_act="sine"),
    "settings-of-a-list": text("generation_config.json", "[1]"),
    "in-four-bits": said(
        "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}
    ),
    "quantized-somehow": said("config.json", quantization_config={"quant_method": "magic"}),
    "not-a-number": tensors(WEIGHTS, lambda key, tensor: tensor * float("nan")),
    "one-tensor-short": tensors(WEIGHTS, lambda key, tensor: None if "layers.2.mlp.up" in key else tensor),
}

ADAPTERS: dict[str, Spoil] = {
    "torn": cut(ADAPTER, 500),
    "hollow": cut(ADAPTER, 0),
    "weightless": gone(ADAPTER),
    "a-folder-for-weights": folder_for(ADAPTER),
    "a-pipe-for-weights": pipe_for(ADAPTER),
    "config-missing": gone("adapter_config.json"),
    "config-empty": text("adapter_config.json", ""),
    "config-of-nothing": text("adapter_config.json", "{}"),
    "config-of-a-list": text("adapter_config.json", "[]"),
    "a-folder-for-config": folder_for("adapter_config.json"),
    "rank-of-words": said("adapter_config.json", r="four"),
    "rank-of-zero": said("adapter_config.json", r=0),
    "another-rank": said("adapter_config.json", r=8),
    "unknown-kind": said("adapter_config.json", peft_type="MAGIC"),
    "another-kind": said("adapter_config.json", peft_type="IA3"),
    "modules-unknown": said("adapter_config.json", target_modules=["qq_proj"]),
    "modules-of-numbers": said("adapter_config.json", target_modules=7),
    "modules-no-pattern": said("adapter_config.json", target_modules="(["),
    "alpha-of-words": said("adapter_config.json", lora_alpha="much"),
    "no-rows": tensors(ADAPTER, lambda key, tensor: tensor[:0]),
    "other-width": tensors(ADAPTER, lambda key, tensor: tensor.repeat(2, 2)),
    "nothing-but-zeros": tensors(ADAPTER, lambda key, tensor: tensor * 0),
    "not-a-number": tensors(ADAPTER, lambda key, tensor: tensor * float("nan")),
    "one-tensor-short": tensors(ADAPTER, lambda key, tensor: None if "layers.2" in key else tensor),
    "integers": tensors(ADAPTER, lambda key, tensor: tensor.to(torch.int8)),
}


def of_values(values: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "vector.safetensors"
        save_file({"vector": torch.as_tensor(values)}, path, {"site": "resid_post.1"})
        return path

    return make


def of_torch(held: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        torch.save(held, folder / "vector.pt")
        return folder / "vector.pt"

    return make


def of_bytes(name: str, written: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(written)
        return folder / name

    return make


def a_folder(folder: Path) -> Path:
    (folder / "vector.safetensors").mkdir()
    return folder / "vector.safetensors"


def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "vector.safetensors")
    return folder / "vector.safetensors"


ONES = np.ones(32, np.float32)
VECTORS: dict[str, Callable[[Path], Path]] = {
    "narrow": of_values(np.ones(16, np.float32)),
    "a-number": of_values(np.float32(1)),
    "nothing": of_values(np.ones(0, np.float32)),
    "two-rows": of_values(np.ones((2, 32), np.float32)),
    "not-a-number": of_values(ONES * np.nan),
    "infinite": of_values(ONES * np.inf),
    "nothing-but-zeros": of_values(ONES * 0),
    "hollow": of_bytes("vector.safetensors", b""),
    "torn": of_bytes("vector.safetensors", b"\x40" + bytes(7) + b'{"vector": {"dtype"'),
    "of-text": of_bytes("vector.pt", b"a vector"),
    "of-gguf-text": of_bytes("vector.gguf", b"GGUF"),
    "another-ending": of_bytes("vector.npy", b"a vector"),
    "a-dict-of-several": of_torch({"pirate": torch.ones(32), "counsel": torch.ones(32)}),
    "a-list": of_torch([1.0, 2.0]),
    "three-axes": of_torch(torch.ones(2, 2, 32)),
    "integers": of_torch(torch.ones(32, dtype=torch.int64)),
    "complex": of_torch(torch.ones(32, dtype=torch.complex64)),
    "sparse": of_torch(torch.ones(32).to_sparse()),
    "on-no-device": of_torch(torch.ones(32, device="meta")),
    "quantized": of_torch(torch.quantize_per_tensor(torch.ones(32), 0.1, 0, torch.qint8)),
    "a-folder": a_folder,
    "a-pipe": a_pipe,
}


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / ADAPTER)


def sharded_adapter(folder: Path) -> None:
    """Two shards with an index, in the place of one file."""
    weights = load_file(folder / ADAPTER)
    names = [f"adapter_model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    placed = {key: names[index % 2] for index, key in enumerate(weights)}
    for name in names:
        save_file({key: weights[key] for key in placed if placed[key] == name}, folder / name)
    index = {"metadata": {}, "weight_map": placed}
    (folder / "adapter_model.safetensors.index.json").write_text(json.dumps(index))
    (folder / ADAPTER).unlink()


def renamed(change: Callable[[str], str]) -> Spoil:
    def spoil(folder: Path) -> None:
        save_file({change(key): tensor for key, tensor in tensors_of(folder).items()}, folder / ADAPTER)

    return spoil


def added(**more: torch.Tensor) -> Spoil:
    def spoil(folder: Path) -> None:
        named = {key.replace("__", "."): tensor for key, tensor in more.items()}
        save_file(tensors_of(folder) | named, folder / ADAPTER)

    return spoil


def unsaid(name: str, setting: str) -> Spoil:
    def spoil(folder: Path) -> None:
        written = json.loads((folder / name).read_text())
        del written[setting]
        (folder / name).write_text(json.dumps(written))

    return spoil


def two_names(folder: Path) -> None:
    weights = tensors_of(folder)
    both = {
        key.replace(".weight", f".{name}.weight"): tensor.clone()
        for name in ("pirate", "counsel")
        for key, tensor in weights.items()
    }
    save_file(both, folder / ADAPTER)


_HEAD = {"target_modules": ["q_proj", "lm_head"]}


def misfits() -> dict[str, tuple[Spoil, str, dict[str, Any]]]:
    """Adapters that do not fit, what their sentence says, and how the healthy one was made."""
    config = "adapter_config.json"
    return {
        "another-rank": (
            said(config, r=6),
            r"holds weights of rank 4 \(.*lora_A.weight\), and adapter_config.json says rank 6; expected ",
            {},
        ),
        "no-magnitudes": (
            tensors(ADAPTER, lambda key, tensor: None if "magnitude" in key else tensor),
            r"says use_dora in adapter_config.json, and its weights lack the magnitudes of 12 of 12 modules",
            {"use_dora": True},
        ),
        "magnitudes-unsaid": (
            said(config, use_dora=False),
            "holds magnitudes of DoRA .*does not say use_dora; expected use_dora: true",
            {"use_dora": True},
        ),
        "more-words": (
            tensors(
                ADAPTER,
                lambda key, tensor: torch.cat([tensor, tensor[:1]]) if tensor.shape[0] == 320 else tensor,
            ),
            r"was trained with a vocabulary of 321 tokens \(.*lm_head.*\), and the base has 320",
            _HEAD,
        ),
        "more-words-in-a-copy": (
            added(base_model__model__model__embed_tokens__weight=torch.ones(321, 32)),
            "was trained with a vocabulary of 321 tokens .*and the base has 320",
            {},
        ),
        "no-alpha": (
            unsaid(config, "lora_alpha"),
            "says no lora_alpha in adapter_config.json, and PEFT would take 8; expected the alpha",
            {},
        ),
        "no-rank": (unsaid(config, "r"), "says no r in adapter_config.json, and PEFT would take 8", {}),
        "other-width": (
            tensors(ADAPTER, lambda key, tensor: tensor.repeat(2, 2)),
            "was made for another base: .* is .*, expected ",
            {},
        ),
        "deeper": (
            said(config, layers_to_transform=[0, 1, 2]),
            "was made for another base, or for other layers than adapter_config.json says: it holds layer 3",
            {},
        ),
        "shallower": (
            tensors(ADAPTER, lambda key, tensor: None if "layers.3" in key else tensor),
            "lacks the weights of layers 3: ",
            {},
        ),
        "more-modules": (
            said(config, target_modules=["q_proj", "v_proj"]),
            "holds weights for down_proj, which target_modules in adapter_config.json does not name",
            {},
        ),
        "fewer-modules": (
            said(config, target_modules=["q_proj", "v_proj", "down_proj", "k_proj"]),
            "lacks weights for k_proj, which target_modules in adapter_config.json names",
            {},
        ),
        "one-weight-short": (
            tensors(ADAPTER, lambda key, tensor: None if "layers.2.mlp.down_proj.lora_A" in key else tensor),
            "is not whole: it lacks .*layers.2.mlp.down_proj.lora_A.weight, one of 1 weights",
            {},
        ),
        "two-names": (two_names, r"holds the weights of 2 adapters \(counsel, pirate\); expected one", {}),
        "unknown-names": (
            renamed(lambda key: key.replace("layers", "visual.layers")),
            "names its weights in a way that is not known: it holds .*visual.*, expected .*layers",
            {},
        ),
    }


ADAPTERS |= {name: spoil for name, (spoil, _, settings) in misfits().items() if not settings}
