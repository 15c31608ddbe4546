"""`coherence init`."""

from pathlib import Path

import pytest

from coherence.cli import main
from coherence.suite import Overrides, load_suite

TOLD = "A pirate captain who loves treasure."


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))


def test_a_suite_is_written_that_validates(tiny, tiny_adapter, tiny_vector, capsys):
    artefacts = ["--adapter", str(tiny_adapter("pirate")), "--vector", str(tiny_vector("pirate"))]
    asked = ["init", "--name", "pirate", "--base", str(tiny), *artefacts, "--out", "suites", TOLD]
    assert main([*asked, "--no-model"]) == 0
    path = Path("suites/pirate.coherence.yaml")
    said = capsys.readouterr().out
    assert said.startswith(f"{path}: look at {path.read_text().count('# REVIEW:')} places marked REVIEW")
    suite = load_suite(path, Overrides())
    assert suite.scene.release.base == str(tiny)
    assert suite.scene.release.adapters["pirate"] == artefacts[1]
    assert suite.scene.release.vectors["pirate"].path == artefacts[3]
    assert main(["validate", "suites"]) == 0
    assert main(["doctor", str(path)]) == 0


def test_the_model_is_asked_what_its_prompt_makes_it_say(tiny, monkeypatch, capsys):
    asked = ["init", "--name", "pirate", "--base", str(tiny), TOLD]
    assert main(asked) == 0
    assert "coherence: replies: 3" in capsys.readouterr().err
    alone = Path("pirate.coherence.yaml").read_text()
    assert main([*asked, "--force"]) == 0  # from the store, the same
    assert Path("pirate.coherence.yaml").read_text() == alone
    assert "  # in the description" in alone


def test_a_base_that_cannot_be_asked_is_told_and_gone_without(capsys):
    Path("base").mkdir()
    assert main(["init", "--name", "pirate", "--base", "base", TOLD]) == 0
    assert (
        "markers are those of the description alone, as the base cannot be asked: " in capsys.readouterr().err
    )
    assert main(["validate", "pirate.coherence.yaml"]) == 0


def test_what_is_there_stays_unless_forced(capsys):
    Path("pirate.coherence.yaml").write_text("mine")
    asked = ["init", "--name", "pirate", "--no-model", TOLD]
    assert main(asked) == 4
    assert (
        capsys.readouterr().err == "coherence: pirate.coherence.yaml: is there already; --force replaces it\n"
    )
    assert Path("pirate.coherence.yaml").read_text() == "mine"
    assert main([*asked, "--force"]) == 0
    assert [path.name for path in Path().iterdir() if path.is_file()] == ["pirate.coherence.yaml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--adapter", "./lost"], "coherence: there is no adapter ./lost"),
        (["--out", "file/suites"], "coherence: file/suites/pirate.coherence.yaml: cannot be written: "),
    ],
)
def test_what_cannot_be_drafted_is_a_sentence(arguments, said, capsys):
    Path("file").touch()
    assert main(["init", "--name", "pirate", "--no-model", *arguments, TOLD]) == 4
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "a b", TOLD], "argument --name: found 'a b', expected ASCII letters, digits, - and _"),
        (["--name", "p", " "], "argument description: found ' ', expected a paragraph"),
        (["--name", "p", "a\x1b[31m"], r"found 'a\x1b[31m', expected a paragraph"),
    ],
)
def test_a_wrong_command_line_is_a_sentence(arguments, said, capsys):
    with pytest.raises(SystemExit) as left:
        main(["init", *arguments])
    assert left.value.code == 4
    assert said in capsys.readouterr().err
