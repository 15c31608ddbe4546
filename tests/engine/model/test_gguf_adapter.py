"""What of a GGUF file is no adapter for a base is said in a sentence."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from coherence.engine.model.gguf_adapter import read_gguf_adapter
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError

Shapes = dict[str, tuple[int, ...]]
QUERY = "blk.0.attn_q.weight"
TENSORS = {f"{QUERY}.lora_a": (2, 32), f"{QUERY}.lora_b": (32, 2)}


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def written(
        tensors: dict[str, tuple[int, ...]] = TENSORS, kind: str = "lora", base: str = "llama"
    ) -> Path:
        file = gguf.GGUFWriter(tmp_path / "a.gguf", base)
        file.add_type("adapter")
        file.add_string("adapter.type", kind)
        file.add_float32("adapter.lora.alpha", 4)
        for name, shape in tensors.items():
            file.add_tensor(name, np.ones(shape, np.float32))
        file.write_header_to_file()
        file.write_kv_data_to_file()
        file.write_tensors_to_file()
        file.close()
        return tmp_path / "a.gguf"

    return written


def test_it_is_read_by_the_names_of_peft(host: Host, written: Callable[..., Path]) -> None:
    config, weights = read_gguf_adapter(written(), host.model)
    assert (config.r, config.lora_alpha, config.target_modules) == (2, 4, {"model.layers.0.self_attn.q_proj"})
    assert {name: tuple(values.shape) for name, values in weights.items()} == {
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (2, 32),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": (32, 2),
    }
    assert host.mount("pirate", written()) == ""


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"kind": "control"}, "says adapter.type: control; expected lora"),
        ({"base": "qwen2"}, "was made for a base of the architecture qwen2, and this one is llama"),
        (
            {"tensors": {"blk.9.attn_q.weight.lora_a": (2, 32)}},
            "holds blk.9.attn_q",
        ),
        (
            {"tensors": {"blk.0.attn_q.weight": (32, 32)}},
            "holds blk.0.attn_q.weight; expected",
        ),
        (
            {"tensors": {"token_embd.weight.lora_a": (2, 32)}},
            "holds token_embd.wei",
        ),
        (
            {"tensors": {f"{QUERY}.lora_a": (2, 64), f"{QUERY}.lora_b": (32, 2)}},
            "another base",
        ),
        ({"tensors": {f"{QUERY}.lora_a": (2, 32)}}, "holds one factor of model.layers.0.self_attn.q_proj"),
        ({"tensors": {f"{QUERY}.lora_b": (32, 2)}}, "holds one factor of model.layers.0.self_attn.q_proj"),
    ],
)
def test_what_does_not_fit_is_a_sentence(
    host: Host, written: Callable[..., Path], told: dict, sentence: str
) -> None:
    with pytest.raises(ArtefactError, match=sentence) as said:
        host.mount("pirate", written(**told))
    assert "Error" not in str(said.value)


def test_a_base_is_no_adapter_and_an_adapter_no_base(written: Callable[..., Path]) -> None:
    from coherence.engine.model.folder import weight_files

    with pytest.raises(ArtefactError, match=r"a\.gguf holds an adapter; expected the base model itself"):
        weight_files(written())
