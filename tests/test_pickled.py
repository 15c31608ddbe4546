import io
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from coherence.pickled import unsafe_to_load


class Greedy:
    def __reduce__(self):
        return bytearray, (10**12,)


def archive(path: Path, pickled: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("v/data.pkl", pickled)
    return path


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_asks_for_memory_is_told(tmp_path, protocol):
    asks = pickle.dumps({"a": Greedy()}, protocol=protocol)
    alone = tmp_path / "old.pt"
    alone.write_bytes(pickle.dumps(1) + asks)
    for path in (archive(tmp_path / "new.pt", asks), alone):
        assert (
            unsafe_to_load(path, 10**6)
            == "it asks for memory (bytearray); save its tensors alone, or in dicts"
        )


def test_a_pickle_has_so_many_bytes(tmp_path):
    assert unsafe_to_load(archive(tmp_path / "v.pt", b"x" * 101), 100) == "its pickle has more than 100 bytes"


@pytest.mark.parametrize("new", [True, False])
def test_what_torch_saves_is_safe(tmp_path, new):
    held = {"bytearray of it": torch.ones(3), "list": [torch.zeros(2)]}
    torch.save(held, tmp_path / "v.pt", _use_new_zipfile_serialization=new)
    assert unsafe_to_load(tmp_path / "v.pt", 10**6) is None


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04", pickle.dumps(1)[:-1]])
def test_what_is_no_such_file_is_left_to_torch(tmp_path, content):
    (tmp_path / "v.pt").write_bytes(content)
    assert unsafe_to_load(tmp_path / "v.pt", 10**6) is None


def test_a_member_that_is_larger_than_the_file_is_told(tmp_path):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("v/data/0", bytes(10**6))
    (tmp_path / "v.pt").write_bytes(made.getvalue())
    assert (
        unsafe_to_load(tmp_path / "v.pt", 10**6)
        == "its part v/data/0 is compressed; save it again with torch.save"
    )
