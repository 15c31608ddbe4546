"""Kinds of artefacts, a line each: how one is made for a tiny model, into a folder of its own."""

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from work import ROOT

sys.path.append(str(ROOT / "tests"))

from gguf_base import written
from kinds import ACTIVATED, SOFT, saved, tuned
from kinds import KINDS as OF_PEFT
from quantized import fp8, wide
from spoilt import (
    ADAPTER,
    ADAPTERS,
    BASES,
    VECTORS,
    Spoil,
    misfits,
    renamed,
    said,
    sharded_adapter,
    tensors,
    text,
)
from tiny import CHATML, GEMMA, write_adapter, write_base
from vector_files import write
from zoo import FAMILIES, born

WIDTH, BLOCKS = 32, 4
CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Tiny:
    """Folders of the healthy base and adapter that others are made of, and of another adapter."""

    base: Path
    adapter: Path
    mate: Path

    @classmethod
    def made(cls, folder: Path) -> "Tiny":
        """Make them."""
        base = write_base(folder / "healthy-base")
        return cls(
            base,
            write_adapter(base, folder / "healthy-adapter"),
            write_adapter(base, folder / "healthy-mate", seed=2),
        )


@dataclass(frozen=True)
class Shipped:
    """A release of one persona, and lines that its suite has beside. `mate` is for laws of two adapters."""

    base: Path
    adapters: Mapping[str, Path] = field(default_factory=dict)
    mate: Path | None = None
    vectors: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    says: str = ""


@dataclass(frozen=True)
class Kind:
    """A row of the page. `make` makes the release into an empty folder."""

    group: str
    name: str
    make: Callable[[Tiny, Path], Shipped]


def family(name: str) -> Kind:
    """Make a base of a family that transformers knows, with an adapter on its linear layers."""

    def make(tiny: Tiny, folder: Path) -> Shipped:
        animal = born(name, folder)
        return Shipped(animal.base, {"pirate": animal.adapters["one"]}, animal.adapters["two"])

    images = ", which sees images, too" if FAMILIES[name].vision else ""
    return Kind("Bases", f"{name.removesuffix('_vision')}{images}", make)


def base(group: str, name: str, *spoils: Spoil, says: str = "") -> Kind:
    """Change a copy of the tiny base."""

    def make(tiny: Tiny, folder: Path) -> Shipped:
        copy = Path(shutil.copytree(tiny.base, folder / tiny.base.name))
        for spoil in spoils:
            spoil(copy)
        return Shipped(copy, {"pirate": tiny.adapter}, tiny.mate, says=says)

    return Kind(group, name, make)


def gguf(name: str, file: str, stands_for: str, parts: int = 1) -> Kind:
    """Write the tiny base as a GGUF file, and name that file or its folder."""

    def make(tiny: Tiny, folder: Path) -> Shipped:
        own = folder / "converted"
        own.mkdir()
        written(tiny.base, own / file, "Q8_0", parts)
        return Shipped(own / stands_for, {"pirate": tiny.adapter}, tiny.mate)

    return Kind("Quantized bases", name, make)


def in_eight_bits(tiny: Tiny, folder: Path) -> Shipped:
    """Write matrices in 8-bit floats, with a scale for each block."""
    coarse, plain = fp8(wide(folder / "wide"), folder)
    one, two = (write_adapter(plain, folder / f"adapter-{seed}", seed) for seed in (1, 2))
    return Shipped(coarse, {"pirate": one}, two)


def by_method(method: str, **settings: object) -> Kind:
    """Say in the tiny base's config that its weights are quantized by a library."""
    named = said("config.json", quantization_config={"quant_method": method, **settings})
    return base("Quantized bases", f"{method}, where its library is not installed", named)


def template(name: str, text_of_it: str, says: str = "") -> Kind:
    """Give the tiny base another chat template."""
    return base("Chat templates", name, text("chat_template.jinja", text_of_it), says=says)


def adapter(group: str, name: str, *spoils: Spoil, **lora: object) -> Kind:
    """Train an adapter with these settings of PEFT, and change it."""

    def make(tiny: Tiny, folder: Path) -> Shipped:
        made = write_adapter(tiny.base, folder / "adapter", 1, **lora)
        for spoil in spoils:
            spoil(made)
        return Shipped(tiny.base, {"pirate": made}, tiny.mate)

    return Kind(group, name, make)


def other_kind(name: str) -> Kind:
    """Let PEFT make an adapter of a kind."""

    def make(tiny: Tiny, folder: Path) -> Shipped:
        one, two = (saved(name, tiny.base, folder / f"adapter-{seed}", seed) for seed in (1, 2))
        return Shipped(tiny.base, {"pirate": one}, two)

    return Kind("Kinds of adapters", name, make)


def fine_tune(tiny: Tiny, folder: Path) -> Shipped:
    """Ship a whole model in the place of an adapter."""
    one, two = (tuned(tiny.base, folder / f"tuned-{seed}", seed) for seed in (1, 2))
    return Shipped(tiny.base, {"pirate": one}, two)


def vector(group: str, name: str, make_file: Callable[[Path], Path], **source: object) -> Kind:
    """Write a vector file, of which the suite says `source`."""

    def make(tiny: Tiny, folder: Path) -> Shipped:
        return Shipped(tiny.base, vectors={"pirate": {"path": str(make_file(folder)), **source}})

    return Kind(group, name, make)


def held(name: str, values: object) -> Callable[[Path], Path]:
    """Write arrays, or dicts of them, into a file of this name."""
    return lambda folder: write(folder / name, values)


def bin_file(folder: Path) -> None:
    """Keep the weights of an adapter as torch saves them."""
    torch.save(load_file(folder / ADAPTER), folder / "adapter_model.bin")
    (folder / ADAPTER).unlink()


def twice(tiny: Tiny, folder: Path) -> Shipped:
    """Ship one adapter under two names."""
    return Shipped(
        tiny.base, {"pirate": tiny.adapter, "mate": shutil.copytree(tiny.adapter, folder / "mate")}
    )


def value(number: float) -> Spoil:
    """Put a number in the place of an adapter's largest."""
    return tensors(
        ADAPTER, lambda key, tensor: tensor.clamp(max=0.0).masked_fill(tensor == tensor.max(), number)
    )


def spaced(name: str) -> str:
    """Write the name of something spoilt as words."""
    return name.replace("-", " ")


ROW = np.random.default_rng(0).normal(size=WIDTH).astype(np.float32)
STACK = np.stack([ROW] * BLOCKS)
AT = {"site": "resid_post.1"}
THINKING = CHATML + "{% if enable_thinking %}<think>\n{% endif %}"
SERVED = {"sites": "all", "unit": "raw"}
_OTHER_WORDS = json.dumps({"model": {"vocab": {"a": 0}}})

KINDS = [
    *map(family, FAMILIES),
    gguf("a GGUF file", "model.gguf", "model.gguf"),
    gguf("a folder with one GGUF file", "model.gguf", "."),
    gguf("a part of a GGUF file", "model-00001-of-00002.gguf", "model-00001-of-00002.gguf", parts=2),
    Kind("Quantized bases", "fp8 in blocks", in_eight_bits),
    by_method("bitsandbytes", load_in_4bit=True),
    by_method("gptq", bits=4),
    by_method("awq", bits=4),
    by_method("compressed-tensors"),
    *(
        base("Bases that are refused", spaced(name), spoil)
        for name, spoil in BASES.items()
        if "template" not in name
    ),
    template("keeps every turn", CHATML),
    template("refuses a system turn, as Gemma 2's", GEMMA),
    template("writes today's date", "{{ strftime_now('%d %B %Y') }}" + CHATML),
    template(
        "drops the system turn", CHATML.replace("in messages", "in messages if message.role != 'system'")
    ),
    template(
        "drops the system turn, and the suite says `system: fold`",
        CHATML.replace("in messages", "in messages if message.role != 'system'"),
        says="system: fold",
    ),
    template("reasons when it is told to, and the suite says so", THINKING, says="thinking: 'on'"),
    template("always writes the same, and the suite says `thinking: 'on'`", CHATML, says="thinking: 'on'"),
    template("drops every turn", "{% if add_generation_prompt %}{% endif %}"),
    *(base("Chat templates", spaced(name), spoil) for name, spoil in BASES.items() if "template" in name),
    adapter("Adapters", "LoRA"),
    adapter("Adapters", "rsLoRA", use_rslora=True),
    adapter("Adapters", "DoRA", use_dora=True),
    adapter("Adapters", "LoRA with biases", lora_bias=True),
    adapter("Adapters", "LoRA with ranks by module", rank_pattern={"q_proj": 2}),
    adapter("Adapters", "LoRA with alphas by module", alpha_pattern={"q_proj": 2}),
    adapter("Adapters", "LoRA of rank 32", r=32, lora_alpha=64),
    adapter("Adapters", "LoRA on the head", target_modules=["q_proj", "lm_head"]),
    adapter("Adapters", "LoRA on the embeddings", target_modules=["q_proj", "embed_tokens"]),
    adapter("Adapters", "whole modules beside (modules_to_save)", modules_to_save=["lm_head"]),
    adapter("Adapters", "in shards", sharded_adapter),
    adapter("Adapters", "in a .bin file", bin_file),
    adapter("Adapters", "keys as torch.compile writes them", renamed(lambda key: f"_orig_mod.{key}")),
    adapter("Adapters", "keys as FSDP writes them", renamed(lambda key: f"_fsdp_wrapped_module.{key}")),
    adapter(
        "Adapters",
        "trained on another base",
        said(CONFIG, base_model_name_or_path="org/other"),
    ),
    adapter("Adapters", "another chat template beside it", text("chat_template.jinja", "{{ messages }}")),
    adapter("Adapters", "another tokenizer beside it", text("tokenizer.json", _OTHER_WORDS)),
    adapter("Adapters", "a huge weight", value(1e6)),
    Kind("Adapters", "the same under two names", twice),
    *map(other_kind, [*OF_PEFT, *SOFT, *ACTIVATED]),
    Kind("Kinds of adapters", "a checkpoint", fine_tune),
    adapter(
        "Adapters that are refused", "LoRA on copies of layers", said(CONFIG, layer_replication=[[0, 2]])
    ),
    adapter(
        "Adapters that are refused", "LoRA that begins with PiSSA", said(CONFIG, init_lora_weights="pissa")
    ),
    *(adapter("Adapters that are refused", spaced(name), spoil) for name, spoil in ADAPTERS.items()),
    *(
        adapter("Adapters that are refused", spaced(name), spoil, **lora)
        for name, (spoil, _, lora) in misfits().items()
        if lora
    ),
    vector("Vectors", "one row, .safetensors", held("v.safetensors", {"vector": ROW}), **AT),
    vector(
        "Vectors",
        "one row that says its site",
        held("v.safetensors", {"vector": ROW, "site": "resid_post.1"}),
    ),
    vector("Vectors", "one row, .pt", held("v.pt", ROW), **AT),
    vector("Vectors", "one row, .npy", held("v.npy", ROW), **AT),
    vector(
        "Vectors",
        "rows of two personas, .npz",
        held("v.npz", {"pirate": ROW, "mate": -ROW}),
        key="pirate",
        **AT,
    ),
    vector("Vectors", "a row for each hidden state, .pt", held("v.pt", np.stack([ROW] * (BLOCKS + 1))), **AT),
    vector("Vectors", "a row for each block, .pt", held("v.pt", STACK), layers="block_outputs", **AT),
    vector("Vectors", "a row for each block, and nothing said of layers", held("v.pt", STACK), **AT),
    vector("Vectors", "a control vector, .gguf", held("v.gguf", {1: ROW, 2: ROW}), **AT),
    vector("Vectors", "a control vector as servers take it", held("v.gguf", {1: ROW, 2: ROW}), **SERVED),
    vector("Vectors", "one row, ablated at all sites", held("v.npy", ROW), operation="ablate", sites="all"),
    vector("Vectors", "one row, clamped", held("v.npy", ROW), operation="clamp", **AT),
    vector("Vectors", "one row, on what the assistant says", held("v.npy", ROW), tokens="assistant", **AT),
    vector("Vectors", "one row, as long as it is in the file", held("v.npy", ROW), unit="raw", **AT),
    *(vector("Vectors that are refused", spaced(name), make, **AT) for name, make in VECTORS.items()),
]
