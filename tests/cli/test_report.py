"""`coherence report`."""

from pathlib import Path

import pytest

from coherence.cli import main
from coherence.reports.html import write_html
from coherence.reports.junit import write_junit
from coherence.reports.markdown import write_markdown
from coherence.results import Results


@pytest.mark.parametrize(
    ("view", "write"), [("html", write_html), ("junit", write_junit), ("markdown", write_markdown)]
)
def test_a_view_is_that_of_the_run(measured, view, write, capsys, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    write(Results.read(measured), Path("expected"))
    assert main(["report", "results.json", f"--{view}", "found"]) == 0
    assert Path("found").read_bytes() == Path("expected").read_bytes()
    assert capsys.readouterr().out == "found is written\n"


def test_the_results_are_those_of_the_last_run_unless_others_are_named(measured, capsys):
    measured.rename("coherence-results.json")
    assert main(["report"]) == 0
    assert capsys.readouterr().out.endswith("1 pass, 1 fail in 1.0 s\n")


def test_without_a_file_the_summary_is_shown(measured, capsys):
    assert main(["report", "results.json"]) == 0
    alone = capsys.readouterr().out
    assert "margin" in alone
    assert alone.splitlines()[-1].startswith("1 pass, 1 fail in 1.0 s")
    assert max(map(len, alone.splitlines())) <= 100
    assert main(["report", "results.json", "--terminal", "--junit", "j.xml"]) == 0
    assert capsys.readouterr().out == f"j.xml is written\n{alone}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("lost.json", "lost.json: cannot be read: No such file or directory"),
        ("results.json --html results.json/a.html", "results.json/a.html: cannot be written: "),
    ],
)
def test_what_cannot_be_rendered_is_a_sentence(measured, arguments, said, capsys):
    assert main(["report", *arguments.split()]) == 4
    assert capsys.readouterr().err.startswith(f"coherence: {said}")
