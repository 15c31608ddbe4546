"""Safetensors, ours and others'."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch_file
from vector_files import WIDTH, constant, load, refused, rows


@pytest.mark.parametrize("name", ["vector", "pirate"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_every_float_becomes_float32(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    save_torch_file({name: torch.full((WIDTH,), 1.5, dtype=dtype)}, tmp_path / "v.safetensors")
    assert constant(load(tmp_path / "v.safetensors", "resid_post.0")) == 1.5


def test_a_layer_may_stand_in_a_tensor_or_in_the_metadata(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({"pirate": rows(1)[0], "layer": np.array(2)}, path)
    assert str(load(path, None, "block_outputs").site) == "resid_post.2"
    save_file({"pirate": rows(1)[0]}, path, {"layer": "2", "by": "us"})
    assert str(load(path, None, "block_outputs").site) == "resid_post.2"
    assert load(path, None, "block_outputs").metadata == {"layer": "2", "by": "us"}


def test_a_header_of_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    header = b'{"vector":{"dtype":"F32","shape":[1000000000000,6],"data_offsets":[0,24000000000000]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))
    assert refused(path, "resid_post.0").startswith("it is not a whole safetensors file")
    path.write_bytes((2**60).to_bytes(8, "little") + header)
    assert refused(path, "resid_post.0").startswith("it is not a whole safetensors file")
