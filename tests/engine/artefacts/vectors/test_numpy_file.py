"""Files of numpy: headers are read before anything is taken memory for."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vector_files import BLOCKS, WIDTH, constant, load, refused, rows, write


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", "longdouble"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_float_in_any_order_is_read(tmp_path: Path, dtype: str, order: Any) -> None:
    path = write(tmp_path / "v.npy", np.asarray(rows(BLOCKS + 1), dtype, order=order))
    assert constant(load(path, "resid_post.1")) == 12


def test_compressed_members_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "v.npz", vector=rows(1)[0], about=np.array("us"))
    assert constant(load(tmp_path / "v.npz", "resid_post.1")) == 10


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    held = np.array([{"a": 1}] * WIDTH, dtype=object)
    sentence = "found values of object, expected floating point"
    assert refused(write(tmp_path / "v.npy", held), "resid_post.1") == sentence
    np.savez(tmp_path / "v.npz", vector=held)
    assert refused(tmp_path / "v.npz", "resid_post.1") == sentence


@pytest.mark.parametrize("dtype", ["<c8", "S6", [("a", "<f4")], "<M8[s]"])
def test_other_values_are_refused(tmp_path: Path, dtype: Any) -> None:
    path = write(tmp_path / "v.npy", np.zeros(WIDTH, dtype))
    assert refused(path, "resid_post.1").startswith("found values of ")


def _header_of(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_2_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize("shape", [(10**15, WIDTH), (BLOCKS + 1, WIDTH), (2**40, 2**40, WIDTH)])
def test_a_header_of_more_than_there_is_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    header = _header_of(shape)
    (tmp_path / "v.npy").write_bytes(header + bytes(16))
    assert "its header speaks of" in refused(tmp_path / "v.npy", "resid_post.1")
    with zipfile.ZipFile(tmp_path / "v.npz", "w") as file:
        file.writestr("vector.npy", header + bytes(16))
    assert "its header speaks of" in refused(tmp_path / "v.npz", "resid_post.1")


def test_a_member_that_unpacks_to_very_much_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "v.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("vector.npy", _header_of((10**5, WIDTH)) + bytes(24 * 10**5))
    assert refused(tmp_path / "v.npz", "resid_post.1").startswith("found 100000 rows, expected 5")


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"", b"\x93NUMPY\x09\x09", b"\x93NUMPY\x01\x00\xff\xff{"])
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_what_is_no_such_file_is_a_sentence(tmp_path: Path, ending: str, content: bytes) -> None:
    (tmp_path / f"v.{ending}").write_bytes(content)
    assert refused(tmp_path / f"v.{ending}", "resid_post.1").startswith(
        ("it is not a whole", "it is of version")
    )


def test_a_huge_header_is_a_sentence(tmp_path: Path) -> None:
    length = 10**6
    content = b"\x93NUMPY\x02\x00" + length.to_bytes(4, "little") + b"(" * length
    (tmp_path / "v.npy").write_bytes(content)
    assert refused(tmp_path / "v.npy", "resid_post.1").startswith("it is not a whole npy file")


def test_other_members_are_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npz", {"vector": rows(1)[0]})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("README.txt", "about it")
    assert constant(load(path, "resid_post.1")) == 10


def test_a_name_that_goes_on_from_another_stays_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "v.npz", {"a": rows(1)[0], "a/b": rows(2)[1]})
    assert constant(load(path, "resid_post.1", key="a/b")) == 11
    assert constant(load(path, "resid_post.1", key="a")) == 10
