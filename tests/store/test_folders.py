from pathlib import Path

import pytest

from coherence.store import cache_root, store_root


def test_the_cache_moves_with_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path))
    assert store_root() == tmp_path / "store"
    monkeypatch.setenv("COHERENCE_CACHE", "")
    assert cache_root().name == "coherence"
    assert cache_root() != tmp_path
