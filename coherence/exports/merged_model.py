"""The base with an adapter merged into its weights: a whole model, as any server takes it."""

from pathlib import Path
from typing import Any

from peft import PeftModel
from torch import nn
from transformers import PreTrainedTokenizerBase

from coherence.engine.interventions.adapters import slot_of
from coherence.engine.model.loading import DTYPES
from coherence.errors import ArtefactError
from coherence.files import replacing
from coherence.vocabulary.release import Dtype


def write_merged_model(
    folder: Path, mounted: nn.Module, name: str, tokenizer: PreTrainedTokenizerBase, dtype: Dtype
) -> None:
    """Merge a mounted adapter in the type that the base was loaded in, and save model and tokenizer.

    Afterwards the base that it was mounted on is the merged one. An ArtefactError where PEFT cannot merge.
    """
    if not isinstance(mounted, PeftModel) or slot_of(name) not in mounted.peft_config:
        raise ArtefactError("is no LoRA that PEFT has in its layers, and is not merged here")
    peft: Any = mounted
    merged: Any = peft.merge_and_unload(safe_merge=True, adapter_names=[slot_of(name)])
    merged.to(DTYPES[dtype])
    with replacing(folder) as partial:
        merged.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
