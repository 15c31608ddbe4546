"""Pickles that would run code, wherever a release has them: as a base, an adapter or a vector."""

import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from coherence import limits
from coherence.engine.artefacts.vectors import load_vector
from coherence.engine.interventions.adapter_weights import read_weights
from coherence.engine.model.folder import adapter_files
from coherence.engine.model.host import Host
from coherence.errors import ArtefactError
from coherence.vocabulary import VectorSource

REFUSED = r"cannot be read without running code \(posix\.mkdir\); save its tensors alone, or in dicts$"


class Code:
    """A pickle of it runs code where it is read: it makes a folder `ran` in the current one."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Code()))
    Path("ran").rmdir()  # it would have, elsewhere
    yield
    assert not Path("ran").exists()


def repacked(folder: Path, to: Path, weights: str, name: str, **added: Any) -> Path:
    """Copy a folder, with its weights in a pickle."""
    shutil.copytree(folder, to)
    held = load_file(to / weights)
    (to / weights).unlink()
    torch.save(held | added, to / name)
    return to


@pytest.mark.parametrize("zipped", [True, False])
def test_a_vector_that_runs_code_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "v.pt"
    torch.save({"v": torch.ones(4), "code": Code()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ArtefactError, match=REFUSED):
        load_vector(VectorSource(path=str(path)), 4, 2, "v")


def test_an_adapter_that_runs_code_is_refused(tiny_adapter: Callable[..., Path], tmp_path: Path) -> None:
    names = "adapter_model.safetensors", "adapter_model.bin"
    sound = repacked(tiny_adapter("pirate"), tmp_path / "sound", *names)
    assert read_weights(adapter_files(sound))
    spoilt = repacked(tiny_adapter("pirate"), tmp_path / "spoilt", *names, code=Code())
    with pytest.raises(ArtefactError, match=rf"^cannot be loaded: adapter_model\.bin {REFUSED}"):
        read_weights(adapter_files(spoilt))


def test_a_base_that_runs_code_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = "model.safetensors", "pytorch_model.bin"
    sound = repacked(tiny, tmp_path / "sound", *names)
    assert Host.load(sound, "float32").model
    spoilt = repacked(tiny, tmp_path / "spoilt", *names, code=Code())
    with pytest.raises(ArtefactError, match=rf"^cannot be loaded: its weights {REFUSED}"):
        Host.load(spoilt, "float32")
    monkeypatch.setattr(limits, "HEADER_BYTES", 100)
    with pytest.raises(
        ArtefactError, match=r"^cannot be loaded: pytorch_model\.bin: its pickle has more than 100"
    ):
        Host.load(sound, "float32")
