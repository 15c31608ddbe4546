"""Artefacts of a draft."""

import json
from pathlib import Path

import pytest

from coherence.errors import ArtefactError
from coherence.scaffold.draft import BLOCKS
from coherence.scaffold.shipped import as_seen_from, blocks, found, site_of
from coherence.vocabulary import Site


def test_paths_are_found_and_spelled_as_the_suite_needs_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("adapters/pirate").mkdir(parents=True)
    path = found("adapter", "adapters/pirate")
    assert path == str(tmp_path / "adapters" / "pirate")
    assert as_seen_from(Path(), path) == "./adapters/pirate"
    assert as_seen_from(Path("suites"), path) == "../adapters/pirate"
    assert as_seen_from(Path("suites"), found("base", "org/model")) == "org/model"
    assert found("base", "reference") == "reference"
    with pytest.raises(ArtefactError, match=r"there is no vector lost\.pt"):
        found("vector", "lost.pt")


def test_blocks_are_those_of_the_config(tiny, tmp_path):
    assert blocks(str(tiny)) == 4
    (tmp_path / "config.json").write_text(json.dumps({"text_config": {"num_hidden_layers": 7}}))
    assert blocks(str(tmp_path)) == 7
    for broken in ("{", "[]", '{"num_hidden_layers": "x"}'):
        (tmp_path / "config.json").write_text(broken)
        assert blocks(str(tmp_path)) == BLOCKS
    assert blocks(str(tmp_path / "lost")) == BLOCKS


def test_a_vector_says_where_it_belongs_or_not(tiny_vector, tmp_path):
    assert site_of(str(tiny_vector("pirate", site="resid_post.2"))) == Site.parse("resid_post.2")
    (tmp_path / "v.safetensors").write_bytes(b"nothing")
    assert site_of(str(tmp_path / "v.safetensors")) is None
    assert site_of("v.gguf") is None
