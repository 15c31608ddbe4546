"""docs/artefacts.md has every kind of artefact, and says of each what becomes of it."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from artefact_kinds import KINDS  # noqa: E402
from artefacts import BEGIN, END, rows, tables  # noqa: E402

PAGE = (ROOT / "docs" / "artefacts.md").read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
QUICK = ("Chat templates", "Vectors")


def test_every_kind_is_on_the_page_once():
    listed = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")]
    heads = ("| kind", "| ---")
    assert [name for name in listed if name not in heads] == [f"| {kind.name}" for kind in KINDS]
    assert len({(kind.group, kind.name) for kind in KINDS}) == len(KINDS)


def test_the_page_says_what_becomes_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    found = list(rows([kind for kind in KINDS if kind.group in QUICK], tmp_path))
    for table in tables(found).split("\n\n### "):
        assert table.removeprefix("### ") in PAGE
