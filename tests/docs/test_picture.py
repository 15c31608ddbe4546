"""docs/picture.py: what it draws is the report's, whole, and in the committed picture."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from judged import judged, mean, run

from coherence.vocabulary import ProbeNote

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


def test_the_committed_picture_is_that_of_the_results_that_are_kept(tmp_path):
    drawn, red = tmp_path / "drawn.svg", Path(__file__).parent / "red-results.json"
    subprocess.run([sys.executable, DOCS / "picture.py", red, drawn], check=True)
    assert drawn.read_text(encoding="utf-8") == (DOCS / "report.svg").read_text(encoding="utf-8")


def test_what_was_seen_and_its_cause_come_before_the_numbers():
    said = words(DOCS / "report.svg")
    seen = next(
        place for place, text in enumerate(said) if text.startswith("along the way that prompt moves")
    )
    assert said[seen + 1].startswith("Likely cause: pirate's adapter is counsel's, byte by byte; ")
    assert said[seen + 2].startswith("pirate.collinearity.prompt-adapter fails: ")


def test_columns_do_not_run_into_each_other():
    texts = [
        (float(text.get("y")), float(text.get("x")), float(text.get("font-size")), "".join(text.itertext()))
        for text in ElementTree.parse(DOCS / "report.svg").iter("{http://www.w3.org/2000/svg}text")
        if text.get("x") and text.get("font-size", "").isdigit()
    ]
    for y, x, size, said in texts:
        ends = x + 0.47 * size * len(said)  # about as wide as letters are on average
        assert not [other for row, left, _, other in texts if row == y and x < left < ends], said


def test_markers_in_replies_stand_out(tmp_path):
    note = ProbeNote(
        probe="lost", note="markers", question="Where is it?", replies={"prompt": "Arr, it be lost. " * 5},
        marks={"prompt": ((0, 3), (17, 20))},
    )  # fmt: skip
    result = judged(mean(BAD))
    evidence = result.evidence.model_copy(update={"probes": (note,)})
    run(result.model_copy(update={"evidence": evidence})).write(tmp_path / "results.json")
    command = [sys.executable, DOCS / "picture.py", tmp_path / "results.json", tmp_path / "drawn.svg"]
    subprocess.run(command, check=True)
    marked = ElementTree.parse(tmp_path / "drawn.svg").iter("{http://www.w3.org/2000/svg}tspan")
    assert [text.text for text in marked] == ["Arr,", "Arr,"]
    assert "Where is it?" in words(tmp_path / "drawn.svg")
