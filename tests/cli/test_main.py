"""The `coherence` command as a whole."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from coherence import __version__
from coherence.cli import COMMANDS, main
from coherence.cli.command import Command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("fetsh", "invalid choice: 'fetsh'"),
        ("extract", "the following arguments are required: suite, persona, --out"),
        (
            "extract s p --out v.safetensors --site resid_post.x",
            "argument --site: 'resid_post.x' is not a site; expected resid_pre.N or resid_post.N",
        ),
        ("extract s p --out v.txt", "argument --out: found the ending '.txt', expected .safetensors"),
        (
            "extract s p --out v.safetensors --position last",
            "argument --position: found 'last'; did you mean 'user_last'?",
        ),
        ("calibrate", "the following arguments are required: suite"),
        (
            "calibrate s --false-alarm 5",
            "argument --false-alarm: found '5', expected a number between 0 and 1, such as 0.05",
        ),
        ("calibrate s --power much", "argument --power: found 'much', expected a number between 0 and 1"),
        ("calibrate s --halves 2", "argument --halves: found '2', expected a number from 10, such as 40"),
    ],
)
def test_a_wrong_command_line_is_a_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments.split())
    assert left.value.code == 4
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


HEAVY = {"torch", "transformers", "peft", "numpy", "scipy", "pydantic", "rich", "yaml", "argcomplete"}


@pytest.mark.parametrize("arguments", [["--version"], ["calibrate", "--help"], ["replay"]])
def test_nothing_heavy_is_imported_before_a_command_runs(arguments):
    program = f"""
import sys
from coherence.cli import main
try:
    main({arguments!r})
finally:
    sys.stderr.write(" ".join(sys.modules))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert set(run.stderr.split()) & HEAVY == set()


@pytest.mark.parametrize("arguments", [["schema"], ["validate", "lost.yaml"], ["explain", "markers"]])
def test_what_needs_no_model_imports_none(arguments):
    program = (
        f"import sys; from coherence.cli import main; main({arguments!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_the_command_is_installed():
    command = Path(sys.executable).with_name("coherence")
    run = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"{__version__}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_teaches_by_an_example(command, capsys):
    with pytest.raises(SystemExit) as left:
        main([command.name, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert " ".join(command.about.split()) in " ".join(said.split())
    assert said.endswith(f"example:\n  {command.example}\n")
    assert f"coherence {command.name}" in command.example


def test_a_reader_that_goes_away_is_no_error():
    pipeline = f"{Path(sys.executable).with_name('coherence')} schema | head -n 1"
    run = subprocess.run(["bash", "-c", f"set -o pipefail; {pipeline}"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_a_disk_that_is_full_is_a_sentence(monkeypatch, capsys):
    with suppress(OSError), Path("/dev/full").open("w", buffering=1) as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["schema"]) == 4
    assert capsys.readouterr().err == "coherence: [Errno 28] No space left on device\n"


def test_what_nobody_foresaw_is_a_sentence(monkeypatch, capsys):
    def add(parser):
        parser.set_defaults(run=lambda options: json.loads("{}")["lost"])

    odd = Command(name="odd", help="be odd", about="Is odd.", example="coherence odd", add=add)
    monkeypatch.setattr("coherence.cli.COMMANDS", (odd,))
    assert main(["odd"]) == 4
    said = capsys.readouterr().err
    assert said.startswith("coherence: ")
    assert "raised KeyError: 'lost'" in said
    assert said.count("\n") == 1
