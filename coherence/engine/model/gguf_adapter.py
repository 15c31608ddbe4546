"""LoRA in GGUF, as llama.cpp and Ollama take it, read as PEFT has it: the same factors on the same layers.

Of a layer whose weight is `blk.N.NAME.weight` there are `.lora_a` [rank, inputs] and `.lora_b` [outputs,
rank]; one alpha is for all of them, and 0 stands for a scale of 1. For what llama.cpp does with them see
https://github.com/ggml-org/llama.cpp/blob/master/src/llama-adapter.h
"""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import torch
from peft import LoraConfig
from torch import Tensor, nn

from coherence.engine.model.gguf_header import GgufHeader
from coherence.engine.model.gguf_names import GgufLayer, GgufNames
from coherence.engine.model.gguf_values import dequantized
from coherence.errors import ArtefactError

KIND, ALPHA, INVOCATION = "adapter.type", "adapter.lora.alpha", "adapter.alora.invocation_tokens"
DOWN, UP = ".lora_a", ".lora_b"


def read_gguf_adapter(path: Path, model: nn.Module) -> tuple[LoraConfig, dict[str, Tensor]]:
    """Read config and weights, by PEFT's names on a model; an ArtefactError says why that cannot be done."""
    header, names = GgufHeader.of(path), GgufNames(model)
    _check(header, names)
    placed = {tensor: _place(tensor, names) for tensor in header.tensors}
    _require_pairs(placed.values())
    weights = {
        f"base_model.model.{layer.module}.lora_{factor}.weight": _factor(path, header, tensor, layer)
        for tensor, (layer, factor) in placed.items()
    }
    ranks = {
        layer.module: header.tensors[tensor].shape[0]
        for tensor, (layer, factor) in placed.items()
        if factor == "A"
    }
    return _config(ranks, float(header.metadata.get(ALPHA, 0))), weights


def _check(header: GgufHeader, names: GgufNames) -> None:
    kind = header.metadata.get(KIND)
    if kind != "lora":
        raise ArtefactError(f"says {KIND}: {kind}; expected lora")
    if INVOCATION in header.metadata:
        raise ArtefactError(f"sets {INVOCATION}, with which it begins at some token; expected plain LoRA")
    if header.architecture != names.architecture:
        raise ArtefactError(
            f"was made for a base of the architecture {header.architecture}, and this one is "
            f"{names.architecture}"
        )


def _place(tensor: str, names: GgufNames) -> tuple[GgufLayer, str]:
    """Find which factor of which layer a tensor is."""
    weight, factor = tensor[: -len(DOWN)], {DOWN: "A", UP: "B"}.get(tensor[-len(DOWN) :])
    layer = names.layer_of(weight)
    if factor is None or layer is None:
        raise ArtefactError(
            f"holds {tensor}; expected factors of linear layers in the blocks of the base, such as "
            f"blk.0.attn_q.weight{DOWN}"
        )
    return layer, factor


def _require_pairs(places: Collection[tuple[GgufLayer, str]]) -> None:
    layers = Counter(layer.module for layer, _ in places)
    for module, count in layers.items():
        if count < 2:
            raise ArtefactError(f"holds one factor of {module}; expected both, {DOWN} and {UP}")


def _factor(path: Path, header: GgufHeader, tensor: str, layer: GgufLayer) -> Tensor:
    try:
        values = torch.from_numpy(dequantized(path, header.tensors[tensor]))
    except (ValueError, NotImplementedError, KeyError) as problem:
        raise ArtefactError(f"cannot be loaded: {tensor}: {problem}") from problem
    return layer.reordered(values) if tensor.endswith(UP) else values


def _config(ranks: dict[str, int], alpha: float) -> LoraConfig:
    highest = max(ranks.values(), default=1)
    others = {module: rank for module, rank in ranks.items() if rank != highest}
    return LoraConfig(
        r=highest,
        # PEFT takes any number, and says that it is a whole one.
        lora_alpha=alpha or highest,  # type: ignore[arg-type]
        target_modules=sorted(ranks),
        rank_pattern=others,
        alpha_pattern={} if alpha else others,
        task_type="CAUSAL_LM",
        inference_mode=True,
    )
