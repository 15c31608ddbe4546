"""docs/picture.py: what it draws is the report's, whole, and in the committed picture."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from judged import judged, mean, run

DOCS = Path(__file__).parents[2] / "docs"
BAD = [0.1, 0.2, 0.3, 0.2]


def words(svg):
    return [
        text
        for place in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
        for text in place.itertext()
    ]


def test_it_draws_what_is_not_as_expected(tmp_path):
    run(judged(mean(BAD)), judged(name="a.b.c"), judged(mean([0.6, 0.7, 0.8, 0.9]), name="good.b.c")).write(
        tmp_path / "results.json"
    )
    command = [sys.executable, DOCS / "picture.py", tmp_path / "results.json", tmp_path / "drawn.svg"]
    subprocess.run(command, check=True)
    said = words(tmp_path / "drawn.svg")
    assert {"2 of 3 assertions are not as expected", "✗ fail", "✗ error", "a.b.c", "cosine"} <= set(said)
    assert "good.b.c" not in said
    drawn = (tmp_path / "drawn.svg").read_text(encoding="utf-8")
    assert "var(" not in drawn
    assert "currentColor" not in drawn


def test_the_committed_picture_is_whole():
    assert "Coherence report" in words(DOCS / "report.svg")
