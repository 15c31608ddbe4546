"""The weights of an adapter's files, by the names that PEFT gives them on a base."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers
from safetensors.torch import load_file
from torch import Tensor

from coherence import limits
from coherence.engine.interventions.adapter_keys import Named, fits, named_as_expected
from coherence.engine.interventions.adapter_misfit import misfit, other_rank, rank_in
from coherence.errors import ArtefactError
from coherence.pickled import code_refused, unsafe_to_load

_PREFIX = "base_model.model."


def read_weights(files: Sequence[Path]) -> dict[str, Tensor]:
    """Read all weights of an adapter's files, by the names that they have there."""
    weights: dict[str, Tensor] = {}
    for path in files:
        if path.suffix == ".safetensors":
            weights |= load_file(path)
        else:
            weights |= _unpickled(path)
    return weights


def check_ranks(config: LoraConfig, weights: Mapping[str, Tensor]) -> None:
    """Refuse a rank of LoRA that no weight has, before PEFT takes the memory for it."""
    ranks = {key: rank for key in sorted(weights) if (rank := rank_in(key, weights[key]))}
    told = max([config.r, *(config.rank_pattern or {}).values()])
    highest = max(ranks, key=ranks.__getitem__, default="")
    if ranks and told > ranks[highest]:
        raise ArtefactError(other_rank(highest, ranks[highest], told))


def named(
    mounted: PeftModel,
    config: PeftConfig,
    slot: str,
    expected: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
) -> Named:
    """Name an adapter's weights as they are expected; an ArtefactError says why they do not fit."""

    def by_peft(read: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        converted: Mapping[str, Tensor] = convert_peft_adapter_state_dict_for_transformers(
            mounted, config, dict(read), slot
        )
        return converted

    named_weights = named_as_expected(expected, weights, by_peft)
    if not fits(expected, named_weights.weights):
        rows: int = mounted.get_input_embeddings().weight.shape[0]
        raise ArtefactError(misfit(expected, named_weights.weights, config, rows))
    return named_weights


def copies(weights: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, str]:
    """Map weights that have a name and shape of the base's own, as PEFT saves embeddings, to their names."""
    names = {key: key.removeprefix(_PREFIX).replace(".base_layer.", ".") for key in weights}
    return {
        key: name for key, name in names.items() if name in base and base[name].shape == weights[key].shape
    }


def _unpickled(path: Path) -> dict[str, Tensor]:
    if unsafe := unsafe_to_load(path, limits.HEADER_BYTES):
        raise ArtefactError(f"cannot be loaded: {path.name}: {unsafe}")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as problem:
        state = code_refused(problem) or "is not a whole file of tensors"
        raise ArtefactError(f"cannot be loaded: {path.name} {state}") from problem
    if not isinstance(weights, dict) or not all(map(_is_plain, weights.values())):
        raise ArtefactError(f"cannot be loaded: {path.name} holds other things than dense tensors by name")
    return {str(name): weight for name, weight in weights.items()}


def _is_plain(weight: object) -> bool:
    if not isinstance(weight, Tensor) or weight.is_nested or weight.layout != torch.strided:
        return False
    return not (weight.is_meta or weight.is_quantized)
