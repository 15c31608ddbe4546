import os
from pathlib import Path

import pytest

from coherence.engine.artefacts.memo import Stamp, all_remembered, forget, remember, remembered

DIGEST = "a" * 64


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["model.safetensors", "two\nlines", os.fsdecode(b"\xff.bin")])
def test_it_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    stamp = Stamp.of(path.stat())
    remember(path, stamp, DIGEST)
    assert remembered(path, stamp) == DIGEST
    assert [(one.path, one.stamp, one.digest) for one in all_remembered()] == [(path, str(stamp), DIGEST)]
    assert remembered(path, stamp._replace(size=1)) is None
    forget(path)
    assert remembered(path, stamp) is None
    assert list(all_remembered()) == []
    forget(path)


def test_a_link_is_remembered_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "blob").touch()
    (tmp_path / "link").symlink_to("blob")
    remember(tmp_path / "link", Stamp(1, 2, 3, 4), DIGEST)
    assert remembered(tmp_path / "blob", Stamp(1, 2, 3, 4)) == DIGEST


def test_what_was_remembered_of_another_file_is_not_taken_for_its_own(tmp_path: Path) -> None:
    for name in ("one", "two"):
        remember(tmp_path / name, Stamp(1, 2, 3, 4), DIGEST)
    one, two = (tmp_path / "cache" / "digests").iterdir()
    one.write_bytes(two.read_bytes())
    assert [remembered(tmp_path / name, Stamp(1, 2, 3, 4)) for name in ("one", "two")].count(None) == 1
