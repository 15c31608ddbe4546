"""An adapter as PEFT has it, from whatever it is stored in: a folder of PEFT, or LoRA in GGUF."""

from pathlib import Path

from torch import nn

from coherence.engine.interventions.adapter_config import read_config
from coherence.engine.interventions.adapter_weights import read_weights
from coherence.engine.interventions.carrier import Read
from coherence.engine.model.folder import adapter_files, is_gguf
from coherence.engine.model.gguf_adapter import read_gguf_adapter


def read_adapter(path: Path, model: nn.Module) -> Read:
    """Read config and weights of an adapter for a base; an ArtefactError says what is wrong with them."""
    files = adapter_files(path)
    return read_gguf_adapter(path, model) if is_gguf(path) else (read_config(path), read_weights(files))
