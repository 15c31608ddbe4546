import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from coherence.engine.model.folder import tensors, weight_files
from coherence.errors import ArtefactError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARDS = [f"model-0000{part}-of-00003.safetensors" for part in (1, 2, 3)]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A folder with a single file."""
    folder = tmp_path / "whole"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    save_file({name: torch.ones(2, 3) for name in "abc"}, folder / SINGLE)
    return folder


@pytest.fixture
def sharded(whole: Path) -> Path:
    """The same weights, a file for each tensor."""
    (whole / SINGLE).unlink()
    for name, shard in zip("abc", SHARDS, strict=True):
        save_file({name: torch.ones(2, 3)}, whole / shard)
    placed(whole, dict(zip("abc", SHARDS, strict=True)))
    return whole


def placed(folder: Path, weight_map: object) -> None:
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def complaint(folder: Path) -> str:
    with pytest.raises(ArtefactError) as problem:
        weight_files(folder)
    return problem.value.sentence


def test_a_single_file_and_shards(whole: Path, request: pytest.FixtureRequest) -> None:
    assert weight_files(whole) == [whole / SINGLE]
    folder = request.getfixturevalue("sharded")
    assert weight_files(folder) == [folder / shard for shard in SHARDS]


def test_the_order_of_transformers_is_kept(whole: Path) -> None:
    # An old .bin is passed over, whatever it is; so is what is none of the names that transformers looks for.
    for name in ("pytorch_model.bin", "consolidated.safetensors", "model.fp16.safetensors", "optimizer.bin"):
        (whole / name).touch()
    assert weight_files(whole) == [whole / SINGLE]
    (whole / SINGLE).unlink()
    assert weight_files(whole) == [whole / "pytorch_model.bin"]


def test_shards_of_the_old_format(whole: Path) -> None:
    (whole / SINGLE).unlink()
    names = [f"pytorch_model-0000{part}-of-00002.bin" for part in (1, 2)]
    index = {"metadata": {}, "weight_map": dict(zip("ab", names, strict=True))}
    (whole / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (whole / names[0]).touch()
    assert complaint(whole).startswith(f"lacks {names[1]}, of the 2 files that pytorch_model.bin.index.json")
    (whole / names[1]).touch()
    assert weight_files(whole) == [whole / name for name in names]


def beside(folder: Path, name: str) -> None:
    (folder / name).write_text("{}")


SPOILT_SHARDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "an old single file": (
        lambda folder: save_file({"a": torch.ones(2)}, folder / SINGLE),
        f"holds both {SINGLE} and {INDEX} and 3 more, and only the first would be read; remove whichever are "
        "not the weights that are meant",
    ),
    "a shard that is missing": (
        lambda folder: (folder / SHARDS[1]).unlink(),
        f"lacks {SHARDS[1]}, of the 3 files that {INDEX} names; fetch the model again",
    ),
    "a shard of another model": (
        lambda folder: beside(folder, "model-00001-of-00002.safetensors"),
        f"holds model-00001-of-00002.safetensors, which {INDEX} does not name; remove whichever are not the "
        "weights that are meant",
    ),
    "an index that is missing": (
        lambda folder: (folder / INDEX).unlink(),
        f"holds {SHARDS[0]} and 2 more and no {INDEX}, which says what belongs together; expected all "
        "files of the model",
    ),
    "a shard that is in the place of another": (
        lambda folder: shutil.copy(folder / SHARDS[0], folder / SHARDS[1]),
        f"holds a twice, in {SHARDS[0]} and {SHARDS[1]}; expected it where {INDEX} says",
    ),
    "a shard of a later save": (
        lambda folder: save_file({"d": torch.ones(2)}, folder / SHARDS[1]),
        f"is mixed from several models: {INDEX} places b in {SHARDS[1]}, which lacks it",
    ),
    "an index of a later save": (
        lambda folder: placed(folder, {"a": SHARDS[1], "b": SHARDS[0], "c": SHARDS[2]}),
        f"is mixed from several models: {INDEX} places a in {SHARDS[1]}, but it is in {SHARDS[0]}",
    ),
    "a shard outside of the folder": (
        lambda folder: placed(folder, {"a": "../other.safetensors"}),
        f"{INDEX} names '../other.safetensors'; expected a file of the same folder",
    ),
    "an index that is empty": (
        lambda folder: placed(folder, {}),
        f"{INDEX} places no weights; expected a weight_map of tensors to files",
    ),
    "an index of numbers": (
        lambda folder: placed(folder, {"a": 1}),
        f"{INDEX} places no weights; expected a weight_map of tensors to files",
    ),
    "an index that is a list": (
        lambda folder: (folder / INDEX).write_text("[]"),
        f"cannot be loaded: {INDEX} holds a list; expected a JSON object",
    ),
    "half a shard": (
        lambda folder: os.truncate(folder / SHARDS[2], 90),
        f"cannot be loaded: {SHARDS[2]} is not a whole safetensors file: it has 90 bytes, and its header "
        "tells of 96",
    ),
}


@pytest.mark.parametrize("name", SPOILT_SHARDS)
def test_shards_that_leave_open_which_weights_are_meant(sharded: Path, name: str) -> None:
    spoil, sentence = SPOILT_SHARDS[name]
    spoil(sharded)
    assert complaint(sharded) == sentence


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "an adapter": (
        lambda folder: [beside(folder, f"adapter_{name}") for name in ("config.json", "model.safetensors")],
        "holds adapter_config.json and adapter_model.safetensors beside a model: that adapter would be put "
        "on top of its weights, a second time if it is merged into them; remove it from the folder, and name "
        "it among the adapters if it is meant",
    ),
    "an adapter alone": (
        lambda folder: (folder / "config.json").rename(folder / "adapter_config.json"),
        "holds an adapter (adapter_config.json) and no config.json; expected the base model itself",
    ),
    "one shard more": (
        lambda folder: beside(folder, SHARDS[0]),
        f"holds both {SINGLE} and {SHARDS[0]}, and only the first would be read; remove whichever are not "
        "the weights that are meant",
    ),
    "weights of another name": (
        lambda folder: (folder / "config.json").write_text('{"transformers_weights": "old.safetensors"}'),
        "config.json names 'old.safetensors' as its weights (transformers_weights); remove that, and "
        f"expected {SINGLE}, or shards with an index",
    ),
    "no config": (
        lambda folder: (folder / "config.json").unlink(),
        "has no config.json; expected one beside its weights",
    ),
    "half a config": (
        lambda folder: (folder / "config.json").write_text('{"a"'),
        "cannot be loaded: config.json is not JSON: Expecting ':' delimiter: line 1 column 5 (char 4)",
    ),
    "a config of bytes": (
        lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"),
        "cannot be loaded: config.json is not JSON: ",
    ),
    "a config without bottom": (
        lambda folder: (folder / "config.json").write_text("[" * 100_000),
        "cannot be loaded: config.json is not JSON: maximum recursion depth exceeded",
    ),
    "a folder for weights": (
        lambda folder: [(folder / SINGLE).unlink(), (folder / SINGLE).mkdir()],
        f"cannot be loaded: {SINGLE} is not a file",
    ),
    "a pipe for a config": (
        lambda folder: [(folder / "config.json").unlink(), os.mkfifo(folder / "config.json")],
        "cannot be loaded: config.json is not a file",
    ),
    "no weights": (
        lambda folder: (folder / SINGLE).unlink(),
        f"has no weights; expected {SINGLE}, or shards with {INDEX}, beside config.json",
    ),
    "weights that point nowhere": (
        lambda folder: [(folder / SINGLE).unlink(), (folder / SINGLE).symlink_to("/nowhere")],
        f"has no weights; expected {SINGLE}, or shards with {INDEX}, beside config.json",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_folder_that_leaves_open_which_weights_are_meant(whole: Path, name: str) -> None:
    spoil, sentence = SPOILT[name]
    spoil(whole)
    assert complaint(whole).startswith(sentence)


def header(folder: Path, **tensor: object) -> Path:
    told = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | tensor}).encode()
    path = folder / SINGLE
    path.write_bytes(len(told).to_bytes(8, "little") + told + bytes(4))
    return path


@pytest.mark.parametrize(
    "spoilt",
    [
        {"data_offsets": [0, 10**12]},
        {"data_offsets": []},
        {"data_offsets": "all"},
        {"data_offsets": [0, None]},
        {"shape": "wide"},
        {"shape": None},
        {"shape": [[1]]},
    ],
)
def test_a_header_that_its_file_does_not_bear_out(tmp_path: Path, spoilt: dict[str, object]) -> None:
    assert tensors(header(tmp_path))["a"].shape == (1,)
    with pytest.raises(ArtefactError, match=f"^cannot be loaded: {SINGLE} is not a whole safetensors file"):
        tensors(header(tmp_path, **spoilt))


@pytest.mark.parametrize(
    "written", [b"", b"1234", b"\xff" * 100, b"\x02" + bytes(7) + b"[]", b"\x01" + bytes(7) + b"1"]
)
def test_a_file_without_a_header(tmp_path: Path, written: bytes) -> None:
    (tmp_path / SINGLE).write_bytes(written)
    with pytest.raises(ArtefactError, match=f"^cannot be loaded: {SINGLE} is not a whole safetensors file"):
        tensors(tmp_path / SINGLE)


def test_every_tensor_of_a_real_file_is_told(tiny: Path) -> None:
    told = tensors(tiny / SINGLE)
    assert {name: part.shape for name, part in told.items()} == {
        name: tuple(tensor.shape) for name, tensor in load_file(tiny / SINGLE).items()
    }
