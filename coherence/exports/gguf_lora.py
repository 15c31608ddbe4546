"""An adapter as LoRA in GGUF: `llama-server --lora FILE`, or `ADAPTER` in a Modelfile of Ollama.

Names, order of rows and metadata are those of llama.cpp's own converter:
https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py
"""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from coherence.engine.interventions.factors import Factors, under_one_alpha
from coherence.engine.model.gguf_adapter import ALPHA, DOWN, KIND, UP
from coherence.engine.model.gguf_names import GgufLayer, GgufNames
from coherence.errors import ArtefactError
from coherence.exports.gguf_writing import gguf_file


def write_gguf_lora(path: Path, model: nn.Module, name: str, by_layer: Mapping[str, Factors]) -> None:
    """Write the factors of an adapter as float32. ArtefactError: one is of no layer that llama.cpp has.

    There is one alpha in the file, and rsLoRA and patterns of scales are folded into it or the factors.
    """
    names = GgufNames(model)
    alpha, even = under_one_alpha(by_layer)
    layers = {module: _layer(names, module) for module in even}
    with gguf_file(path, names.architecture) as file:
        file.add_type("adapter")
        file.add_name(name)
        file.add_string(KIND, "lora")
        file.add_float32(ALPHA, alpha)
        for module, each in even.items():
            layer = layers[module]
            file.add_tensor(layer.tensor + DOWN, each.down.float().contiguous().numpy())
            file.add_tensor(layer.tensor + UP, layer.ordered(each.up.float()).contiguous().numpy())


def _layer(names: GgufNames, module: str) -> GgufLayer:
    layer = names.layer(module)
    if layer is None:
        raise ArtefactError(
            f"changes {module}, which llama.cpp has no LoRA for; merge it into the base instead (--merged)"
        )
    return layer
