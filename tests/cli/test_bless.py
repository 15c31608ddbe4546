"""`coherence bless`."""

from pathlib import Path

import pytest
from judged import judged, mean
from judged import run as judged_run

from coherence.baseline import Baseline
from coherence.cli import main
from coherence.results import Results

HIGH = [0.6, 0.7, 0.8, 0.9]


def test_bless_stores_what_a_release_came_to(measured, capsys):
    assert main(["bless", str(measured)]) == 0
    assert Baseline.read(Path("coherence-baseline.json")) == Baseline.of(Results.read(measured))
    said = capsys.readouterr()
    assert said.out == "coherence-baseline.json: 2 criteria of the run of 2026-01-02T03:04:05Z\n"
    assert said.err == "coherence: blessed although 1 of its assertions are not green: pirate.margin\n"


def test_bless_takes_the_results_of_the_last_run_unless_others_are_named(measured):
    measured.rename("coherence-results.json")
    assert main(["bless"]) == 0
    assert Path("coherence-baseline.json").is_file()


def test_bless_replaces_the_baseline_that_it_is_told(measured):
    Path("b.json").write_text("an older one")
    assert main(["bless", str(measured), "--out", "b.json"]) == 0
    assert Baseline.read(Path("b.json")).size == 2
    assert {path.name for path in measured.parent.iterdir()} == {"b.json", "results.json"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "results.json: cannot be read: No such file or directory"),
        ("{", "results.json: not a results document of format 5 to 2: the document: Invalid JSON"),
        ('{"format": 1}', "results.json: not a results document of format 5 to 2: format: "),
        (
            judged_run(judged(mean(HIGH)), judged(mean(HIGH))).model_dump_json(),
            "results.json: not what a run wrote: pirate.cosine.adapter of a.yaml is there 2 times",
        ),
        (judged_run(judged()).model_dump_json(), "results.json: nothing was measured: there is nothing to"),
    ],
)
def test_bless_refuses_what_holds_no_results(measured, text, said, capsys):
    measured.unlink() if text is None else measured.write_text(text)
    assert main(["bless", "results.json"]) == 4
    assert capsys.readouterr().err.startswith(f"coherence: {said}")
    assert not Path("coherence-baseline.json").exists()


@pytest.mark.parametrize("command", ["report", "bless", "explain pirate.margin"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '"low":0.',
            '"low":0.99',
            "assertions.0.evidence.criteria.0.estimate: Value error, cosine is 0.8, out",
        ),
        (
            '"criteria":[',
            '"criteria":[],"was":[',
            "assertions.0.evidence.criteria: Tuple should have at least 1",
        ),
    ],
)
def test_every_command_refuses_results_that_were_edited(measured, command, old, new, said, capsys):
    written = measured.read_text().replace(" ", "").replace("\n", "")
    measured.write_text(written.replace(old, new, 1))
    assert main([*command.split(), "results.json"]) == 4
    said = f"coherence: results.json: not a results document of format 5 to 2: {said}"
    assert capsys.readouterr().err.startswith(said)


def test_bless_says_where_it_cannot_write(measured, capsys):
    assert main(["bless", "results.json", "--out", "results.json/b.json"]) == 4
    assert capsys.readouterr().err.startswith("coherence: results.json/b.json: cannot be written: ")


def test_bless_drops_no_assertion_that_the_run_left_out(measured, capsys):
    whole = Results.read(measured)
    assert main(["bless", str(measured)]) == 0
    before = Path("coherence-baseline.json").read_bytes()
    part = whole.model_copy(update={"assertions": whole.assertions[:1]})
    part.write(Path("coherence-results.json"))
    lost = whole.assertions[1].id
    capsys.readouterr()
    assert main(["bless"]) == 4
    assert capsys.readouterr().err == (
        "coherence: coherence-baseline.json: has 1 assertions that these results have not: "
        f"{lost}; expected a run of all, or --replace to drop them\n"
    )
    assert Path("coherence-baseline.json").read_bytes() == before
    assert main(["bless", "--replace"]) == 0
    assert Baseline.read(Path("coherence-baseline.json")) == Baseline.of(part)
