"""An adapter as plain LoRA in a folder of PEFT, as most servers take it: one alpha, and no rsLoRA."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from peft import LoraConfig
from safetensors.torch import save_file
from torch import nn

from coherence.engine.interventions.factors import Factors, under_one_alpha
from coherence.files import replacing


def write_plain_lora(
    folder: Path, model: nn.Module, by_layer: Mapping[str, Factors], base: str, revision: str | None = None
) -> None:
    """Write the factors in the type that they have, for a base of this name. OSError where it cannot be.

    `revision` is the commit that a hub's base is at.
    """
    alpha, even = under_one_alpha(by_layer)
    rank = max(each.rank for each in even.values())
    config: Any = LoraConfig(
        r=rank,
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,  # type: ignore[arg-type]
        target_modules=_targets(model, even),
        rank_pattern={layer: each.rank for layer, each in even.items() if each.rank != rank},
        task_type="CAUSAL_LM",
        base_model_name_or_path=base,
        revision=revision,
        inference_mode=True,
    )
    with replacing(folder) as partial:
        partial.mkdir()
        # PEFT has them as a set, whose order is another in every process.
        config.target_modules = sorted(config.target_modules)
        config.save_pretrained(partial)
        save_file(
            {
                f"base_model.model.{layer}.lora_{factor}.weight": values.contiguous()
                for layer, each in even.items()
                for factor, values in (("A", each.down), ("B", each.up))
            },
            partial / "adapter_model.safetensors",
            {"format": "pt"},
        )


def _targets(model: nn.Module, layers: Iterable[str]) -> list[str]:
    """Name layers by their last part alone, as servers like it, where that means no others."""
    names = {*layers}
    short = {layer.rpartition(".")[2] for layer in names}
    meant = {name for name, _ in model.named_modules() if name.rpartition(".")[2] in short}
    return sorted(short if meant == names else names)
