"""The tiny model as a GGUF file, as llama.cpp's converter writes a Llama."""

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer, LlamaForCausalLM

_CONTROL, _NORMAL = 3, 1


def written(base: Path, path: Path, kind: str = "F32", parts: int = 1) -> Path:
    """Write the model of a folder, its matrices in a type of ggml such as `Q8_0`."""
    model, words = LlamaForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    config: Any = model.config
    file = gguf.GGUFWriter(path, "llama")
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_block_count(config.num_hidden_layers)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads or config.num_attention_heads)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    file.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    file.add_rope_freq_base(config.rope_parameters["rope_theta"])
    file.add_vocab_size(config.vocab_size)
    if parts > 1:
        file.add_uint16("split.count", parts)
    _add_tokenizer(file, words)
    quantized, names = (
        gguf.GGMLQuantizationType[kind],
        gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers),
    )
    for name, weight in model.state_dict().items():
        values = _permuted(name, weight.numpy(), config)
        known = names.get_name(name, try_suffixes=(".weight",))
        assert known is not None, name
        if kind == "F32" or values.ndim == 1:
            file.add_tensor(known, values)
        else:
            file.add_tensor(known, gguf.quantize(values, quantized), raw_dtype=quantized)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return path


def _add_tokenizer(file: gguf.GGUFWriter, words: Any) -> None:
    tokens = sorted(words.get_vocab(), key=words.get_vocab().__getitem__)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(tokens)
    file.add_token_types([_CONTROL if token in words.all_special_tokens else _NORMAL for token in tokens])
    merges = json.loads(words.backend_tokenizer.to_str())["model"]["merges"]
    file.add_token_merges([" ".join(pair) for pair in merges])
    file.add_bos_token_id(words.bos_token_id)
    file.add_eos_token_id(words.eos_token_id)
    file.add_pad_token_id(words.pad_token_id)
    file.add_chat_template(words.chat_template)


def _permuted(name: str, values: NDArray[np.float32], config: Any) -> NDArray[np.float32]:
    """Order the rows of queries and keys as ggml's rotary positions have them."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    count = next((number for part, number in heads.items() if part in name), None)
    if count is None:
        return np.ascontiguousarray(values)
    rows, width = values.shape
    halves = values.reshape(count, 2, rows // count // 2, width).swapaxes(1, 2)
    return np.ascontiguousarray(halves.reshape(rows, width))
