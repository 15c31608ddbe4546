"""What llama.cpp calls the linear layers of a base, and in which order it has the rows of queries and keys.

Names are those of the gguf package, which the converters of llama.cpp use. For rotary positions llama.cpp
wants the two halves of each head row by row, in the families whose class in its converter says so
(`LlamaModel.permute`): https://github.com/ggml-org/llama.cpp/blob/master/conversion/llama.py
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from coherence.errors import ArtefactError, listed

# What llama.cpp calls families of transformers whose linear layers it keeps, but for the order of rows.
_ARCHITECTURES = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "phi3": "phi3",
}
_REORDERED = "llama"


@dataclass(frozen=True)
class GgufLayer:
    """A linear layer of the base: its name in the model, that of its weight in GGUF, and its heads.

    `heads` are those whose rows are in another order in GGUF; 0 where they are as they are.
    """

    module: str
    tensor: str
    heads: int

    def ordered(self, rows: Tensor) -> Tensor:
        """Put what belongs to the outputs of the layer, [outputs, ...], into the order that GGUF has."""
        return self._grouped(rows, halves_first=True)

    def reordered(self, rows: Tensor) -> Tensor:
        """Put it back: the inverse of `ordered`."""
        return self._grouped(rows, halves_first=False)

    def _grouped(self, rows: Tensor, halves_first: bool) -> Tensor:
        if not self.heads:
            return rows
        half = len(rows) // self.heads // 2
        sizes = (2, half) if halves_first else (half, 2)
        return rows.reshape(self.heads, *sizes, -1).transpose(1, 2).reshape(rows.shape).contiguous()


class GgufNames:
    """The linear layers in the blocks of a model, by their names in it and in GGUF.

    An ArtefactError names a family that is written to GGUF and read from it by nobody here.
    """

    def __init__(self, model: nn.Module) -> None:
        from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

        owner: Any = model
        config = owner.config.get_text_config()
        if config.model_type not in _ARCHITECTURES:
            raise ArtefactError(
                f"cannot be had as GGUF on a base of the type {config.model_type}; expected one of "
                f"{listed(sorted(_ARCHITECTURES))}"
            )
        self.architecture = _ARCHITECTURES[config.model_type]
        kinds = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
        self._names = get_tensor_name_map(kinds[self.architecture], config.num_hidden_layers)
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        self._heads = heads if self.architecture == _REORDERED else {}
        self._layers = {layer.module: layer for layer in self._named(model)}
        self._by_tensor = {layer.tensor: layer for layer in self._layers.values()}

    def layer(self, module: str) -> GgufLayer | None:
        """Find a linear layer by its name in the model."""
        return self._layers.get(module)

    def layer_of(self, tensor: str) -> GgufLayer | None:
        """Find a linear layer by the name that its weight has in GGUF."""
        return self._by_tensor.get(tensor)

    def _named(self, model: nn.Module) -> Iterator[GgufLayer]:
        for module, _ in model.named_modules():
            name = self._names.get_name(module)
            if name is not None and name.startswith("blk."):
                heads = self._heads.get(module.rpartition(".")[2], 0)
                yield GgufLayer(module, f"{name}.weight", heads)
