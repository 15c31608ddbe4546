"""The example package of tests/extension, installed as any other, in runs of the gate and of the command."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "extension"
BREVITY = "{property: brevity, personas: [pirate], max_words: 1000}"
ID = "pirate.brevity.prompt"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, put there by pip."""
    source = shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "extension")
    folder = tmp_path_factory.mktemp("site")
    given = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *given, "--target", folder, source], check=True)
    return folder


@pytest.fixture
def extended(installed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed), prepend=os.pathsep)


def command(bench, *arguments):
    """Run the command `coherence` in the bench's folder."""
    code = "import sys; from coherence.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=bench.path, capture_output=True, text=True, check=False
    )


IN_PYTHON = """
import pytest
from coherence_brevity import Brevity

@pytest.mark.brevity
def test_brevity(coherence):
    suite = coherence("a.coherence.yaml")
    suite.require(Brevity(property="brevity", personas=["counsel"], max_words=1000))
    suite.require({"property": "brevity", "personas": ["oncall"], "max_words": 1000})
"""


def test_its_property_is_judged_and_its_view_is_written(bench, extended):
    bench.suite("passes", BREVITY)
    bench.pytester.makepyfile(IN_PYTHON)
    run = bench.run_apart("--strict-markers", "--coherence-report=csv=out/verdicts.csv", "-m", "brevity")
    assert run.ret == 0, run.stdout.str()
    run.assert_outcomes(passed=2, deselected=1)
    assert set(bench.verdicts()) == {ID, "counsel.brevity.prompt", "oncall.brevity.prompt"}
    result = bench.results().assertions[0]
    assert (result.id, result.family) == (ID, "brevity")
    assert result.evidence.criteria[0].at_most == 1000
    lines = (bench.path / "out" / "verdicts.csv").read_text().splitlines()
    assert lines[0] == "assertion,verdict,sentence"
    assert lines[1].startswith(f"{ID},pass,")

    again = command(bench, "report", "coherence-results.json", "--view", "csv=again.csv")
    assert (again.returncode, again.stdout) == (0, "again.csv is written\n")
    assert (bench.path / "again.csv").read_text().splitlines() == lines


def test_its_keys_are_in_the_schema_the_sentences_and_the_explanation(bench, extended):
    described = json.loads(command(bench, "schema").stdout)
    assert "brevity" in described["properties"]["assertions"]["items"]["discriminator"]["mapping"]
    assert "max_words" in described["$defs"]["Brevity"]["properties"]

    bench.suite(BREVITY.replace("max_words", "max_word"), BREVITY.replace("brevity", "brevty"))
    said = command(bench, "validate", "a.coherence.yaml").stdout
    assert "unknown key 'max_word' in assertions[0]; did you mean 'max_words'?" in said
    assert "'brevty' is not a property; did you mean 'brevity'?" in said

    bench.suite(BREVITY)
    explained = command(bench, "explain", ID, "a.coherence.yaml").stdout
    assert "The persona keeps its replies short." in explained
    assert "| `max_words` | required | 1000.0 |" in explained


def test_the_shipped_schema_is_that_of_the_shipped_properties(bench, extended):
    ran = subprocess.run(
        [sys.executable, "-m", "coherence.suite.schema"], capture_output=True, text=True, check=True
    )
    assert "brevity" not in ran.stdout


@pytest.fixture
def broken(installed, tmp_path, monkeypatch):
    """The same package, whose module cannot be imported."""
    folder = shutil.copytree(installed, tmp_path / "broken")
    (folder / "coherence_brevity.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


def test_a_broken_package_is_named_and_spoils_nothing_else(bench, broken):
    bench.suite("passes")
    bench.suite(BREVITY, name="b")
    run = bench.run_apart("--coherence-report=csv=verdicts.csv")
    assert run.ret == 1
    assert bench.verdicts() == {bench.ids["passes"]: "pass", "b.suite": "error"}
    assert (
        "the property 'brevity' cannot be used: coherence-brevity 0.1 adds 'brevity' "
        "(coherence_brevity:Brevity): ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
    ) in bench.sentence("b.suite")
    run.stdout.fnmatch_lines(
        ["--coherence-report csv=verdicts.csv cannot be written: coherence-brevity 0.1 adds 'csv' *"]
    )
    report = command(bench, "report", "coherence-results.json", "--view", "csv=verdicts.csv")
    assert report.returncode == 4
    assert report.stderr.startswith("coherence: coherence-brevity 0.1 adds 'csv' (coherence_brevity:as_csv)")


def test_a_view_that_is_not_installed_is_refused_before_anything_is_measured(bench):
    bench.suite("passes")
    run = bench.run("--coherence-report=cvs=x")
    assert run.ret == 4
    assert run.errlines[0].startswith("ERROR: --coherence-report: no view is named 'cvs'; there is none")
    assert not (bench.path / "coherence-results.json").exists()
    refused = command(bench, "report", "lost.json", "--view", "cvs=x")
    assert (refused.returncode, refused.stderr.split(";")[0]) == (4, "coherence: no view is named 'cvs'")


RAISING = """
from coherence_brevity import Brevity, BrevityCase
from coherence.properties.markers import Markers

def raising(kept, name):
    def method(self, *given):
        if getattr(self, "spec", self).id == name:
            raise LookupError(f"{name} went wrong")
        return kept(self, *given)
    return method

for kind, name in [
    *((BrevityCase, name) for name in ("needs", "controls", "sample")),
    *((Brevity, name) for name in ("could_fail", "cases")),
]:
    setattr(kind, name, raising(getattr(kind, name), name))

def late(self, criterion, kept=Markers.could_fail):
    if criterion.key == "min_recovery":
        raise LookupError("speaks went wrong")
    return kept(self, criterion)

Markers.could_fail = late
"""


def test_what_a_property_raises_is_an_error_of_its_assertion(bench, extended):
    bench.pytester.makeconftest(RAISING)
    in_a_case = ("needs", "controls", "sample", "could_fail")
    named = {name: BREVITY.replace("{", f"{{id: {name}, ") for name in (*in_a_case, "cases", "healthy")}
    bench.suite("passes", "speaks", *(named[name] for name in (*in_a_case, "healthy")))
    lines = bench.suite(named["cases"], name="b")
    run = bench.run_apart("--log-level=debug")
    printed = run.stdout.str() + run.stderr.str()
    assert run.ret == 1, printed
    assert "INTERNALERROR" not in printed
    run.stdout.fnmatch_lines(["*Captured log setup*", "*Traceback*", "*LookupError: needs went wrong*"])
    verdicts = bench.verdicts()
    assert verdicts.pop(bench.ids["passes"]) == verdicts.pop("pirate.healthy.prompt") == "pass"
    assert set(verdicts.values()) == {"error"}
    # What a criterion raises that is not the first is the error of its assertion, too.
    ids = {name: f"pirate.{name}.prompt" for name in in_a_case} | {"speaks": bench.ids["speaks"]}
    for name, one in ids.items():
        said = bench.sentence(one).partition(" could not be measured: ")[2]
        assert said.startswith(f"conftest raised LookupError: {name} went wrong (conftest, line ")
    said = bench.sentence("b.suite").partition(" could not be measured: ")[2]
    assert said.startswith(
        f"b.coherence.yaml:{lines[named['cases']]}: conftest raised LookupError: cases went"
    )
