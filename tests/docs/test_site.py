"""The site: every page is in it and in the overview; where mkdocs is, it builds without a warning."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def test_every_page_is_in_the_navigation():
    assert set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)) == PAGES


def test_every_page_is_in_the_overview():
    linked = re.findall(r"\]\(([^)#]+\.md)", (DOCS / "index.md").read_text(encoding="utf-8"))
    assert {*linked, "index.md"} == PAGES


@pytest.mark.skipif(not find_spec("material"), reason="needs pip install '.[docs]'")
def test_it_builds_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert {
        path.relative_to(tmp_path).with_suffix(".md").as_posix() for path in tmp_path.rglob("*.html")
    } >= PAGES
    for page in tmp_path.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', page.read_text(encoding="utf-8")
        )
        assert [url for url in loaded if url.startswith(("http:", "https:", "//"))] == [], page.name
