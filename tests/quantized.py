"""Models with quantized weights, made as their libraries write them, and what those weights stand for."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tiny import model, tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

_HIGHEST = 448.0  # of E4M3


def wide(folder: Path) -> Path:
    """Make the tiny model with matrices that are wide enough for blocks of 64."""
    words = tokenizer()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model(words, hidden_size=128, intermediate_size=256).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def fp8(base: Path, folder: Path) -> tuple[Path, Path]:
    """Write matrices in 8-bit floats, a scale each, as `fp8` has them, and what they stand for."""
    coarse, plain = (Path(shutil.copytree(base, folder / name)) for name in ("coarse", "plain"))
    weights, rounded = load_file(base / "model.safetensors"), {}
    for name, weight in list(weights.items()):
        if name.endswith("proj.weight"):
            scale = weight.abs().max() / _HIGHEST
            weights[name] = (weight / scale).to(torch.float8_e4m3fn)
            weights[f"{name}_scale_inv"] = scale.reshape(1, 1)
            rounded[name] = weights[name].float() * scale
        else:
            rounded[name] = weight
    save_file(weights, coarse / "model.safetensors", {"format": "pt"})
    save_file(rounded, plain / "model.safetensors", {"format": "pt"})
    # One block is as large as any matrix.
    named = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [256, 256]}
    return _named(coarse, named), plain


def by_bitsandbytes(base: Path, folder: Path, **bits: Any) -> Path:
    """Quantize a model by bitsandbytes, on the CPU."""
    config = BitsAndBytesConfig(**bits)  # type: ignore[no-untyped-call]
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        base, quantization_config=config, device_map="cpu", dtype=torch.float32
    )
    loaded.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def by_compressed_tensors(base: Path, folder: Path, preset: str) -> Path:
    """Quantize a model by compressed-tensors, to one of its presets such as `W8A8`."""
    from compressed_tensors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationConfig,
        apply_quantization_config,
        preset_name_to_scheme,
    )
    from compressed_tensors.quantization.utils import calculate_qparams

    loaded: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    groups = {"group_0": preset_name_to_scheme(preset, ["Linear"])}
    apply_quantization_config(
        loaded, QuantizationConfig(config_groups=groups, ignore=["lm_head"], quantization_status="frozen")
    )
    for module in loaded.modules():
        if scheme := getattr(module, "quantization_scheme", None):
            parts = _grouped(module.weight.data, scheme.weights.group_size)
            found = calculate_qparams(parts.amin(dim=-1), parts.amax(dim=-1), scheme.weights)
            for name, values in zip(("weight_scale", "weight_zero_point"), found, strict=True):
                if (own := getattr(module, name, None)) is not None:
                    own.data = values.to(own.dtype).reshape(own.shape)
    compressor = ModelCompressor.from_pretrained_model(loaded)
    compressor.compress_model(loaded)
    loaded.save_pretrained(folder)
    compressor.update_config(folder)
    tokenizer().save_pretrained(folder)
    return folder


def _grouped(weight: Tensor, size: int | None) -> Tensor:
    return weight.reshape(weight.shape[0], -1, size or weight.shape[1])


def _named(folder: Path, quantization: dict[str, Any]) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": quantization}))
    return folder
