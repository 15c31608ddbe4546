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
    # What a random model says is told apart by nothing that was described.
    assert "  # in the description" not in alone


@pytest.fixture
def terminal(monkeypatch):
    """Let somebody sit at a terminal, with answers."""

    def typed(*answers):
        left = iter(answers)

        def ask(question):
            try:
                return next(left)
            except StopIteration:
                raise EOFError from None

        monkeypatch.setattr("builtins.input", ask)
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    return typed


def test_in_a_terminal_it_asks_for_what_is_there(terminal, tiny, tiny_adapter, capsys):
    terminal("2", str(tiny), "./lost", str(tiny_adapter("pirate")), "the pirate", "pirate", TOLD, "Talk so.")
    assert main(["init", "--no-model"]) == 0
    said = capsys.readouterr().out
    assert "there is no adapter ./lost" in said
    assert "found 'the pirate', expected ASCII letters, digits, - and _" in said
    scene = load_suite(Path("pirate.coherence.yaml"), Overrides()).scene
    assert scene.personas["pirate"].prompt.text == "Talk so."
    assert scene.personas["pirate"].description == TOLD
    assert list(scene.release.adapters) == ["pirate"]


def test_whoever_leaves_has_nothing_written(terminal, capsys):
    terminal("1")
    assert main(["init"]) == 4
    assert capsys.readouterr().err == "coherence: no more answers came; nothing is written\n"
    assert not list(Path().iterdir())


def test_without_a_terminal_it_says_what_it_needs(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(["init", TOLD]) == 4
    assert capsys.readouterr().err == (
        "coherence: a persona needs --name NAME and a description; "
        "in a terminal, `coherence init` asks for them\n"
    )


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
