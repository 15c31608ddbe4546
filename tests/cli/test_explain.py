"""`coherence explain`."""

import re
from pathlib import Path

import pytest

from coherence.cli import main
from coherence.explanation import properties
from coherence.reports.grounds import explain
from coherence.results import Results

SUITES = Path(__file__).parents[2] / "suites"


@pytest.mark.parametrize("name", properties())
def test_a_property_is_explained_with_its_keys_and_formulas(name, capsys):
    assert main(["explain", name]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"# {name}\n\n{properties()[name]['description']}\n\n## Keys\n")
    assert all(f"\n| `{key}` |" in said for key in properties()[name]["properties"])
    assert "## How it is computed" in said
    assert "## How to read its verdict" in said
    assert "](" not in said


def test_an_assertion_is_explained_with_what_its_suite_says(capsys):
    suite = SUITES / "personas.coherence.yaml"
    assert main(["explain", "pirate.stack.adapter-prompt+adapter", str(suite)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("# pirate.stack.adapter-prompt+adapter\n\n`collinearity` of `pirate`, stated in ")
    assert re.search(r"\| `min_cosine` \| required \| 0\.\d+ \| Least specific cosine", said)
    assert "| `between` |  | [adapter, prompt+adapter] |" in said


def test_a_law_is_said(suite, capsys):
    assert main(["explain", "release.commutativity.scale-zero", str(suite)]) == 0
    assert "\n\nThe law: an adapter at scale 0 leaves the base model.\n\n" in capsys.readouterr().out


@pytest.mark.parametrize("files", [[], ["coherence-results.json"]])
def test_with_results_what_was_found_comes_first(measured, files, suite, capsys):
    results = Results.read(measured)
    result = results.assertions[0].model_copy(
        update={"id": "release.commutativity.scale-zero", "suite": "a.coherence.yaml"}
    )
    results.model_copy(update={"assertions": (result,)}).write(Path("coherence-results.json"))
    assert main(["explain", "release.commutativity.scale-zero", *files]) == 0
    said = capsys.readouterr().out
    assert said.startswith(explain(result))
    assert "# release.commutativity.scale-zero\n\n`commutativity` of `release`, stated in a.co" in said


def test_results_are_explained_without_their_suite(measured, capsys):
    results = Results.read(measured)
    renamed = results.assertions[0].model_copy(
        update={"id": "pirate.markers.prompt-adapter", "property": "markers"}
    )
    results.model_copy(update={"assertions": (renamed,)}).write(measured)
    assert main(["explain", "pirate.markers.prompt-adapter", "results.json"]) == 0
    said = capsys.readouterr().out
    assert "the suite a.yaml cannot be read: there is no file a.yaml" in said
    assert "# markers" in said


def test_an_assertion_that_somebody_renamed_is_explained_by_what_was_found(measured, capsys):
    results = Results.read(measured)
    renamed = results.assertions[0].model_copy(update={"id": "mine"})
    results.model_copy(update={"assertions": (renamed,)}).write(measured)
    assert main(["explain", "mine", "results.json"]) == 0
    assert "the suite a.yaml cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "markers.x",
            "'markers.x' is no property, and no assertion as there is no coherence-results.json to look in; "
            "did you mean 'markers'?",
        ),
        (
            "pirate.margn results.json",
            "'pirate.margn' is no property, and no assertion in results.json; did you mean 'pirate.margin'?",
        ),
        ("x lost.coherence.yaml", "there is no file lost.coherence.yaml"),
    ],
)
def test_what_is_not_known_is_a_sentence(measured, arguments, said, capsys):
    assert main(["explain", *arguments.split()]) == 4
    assert capsys.readouterr().err.startswith(f"coherence: {said}")
