"""`coherence completion`, asked by a real shell where there is one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coherence.cli import COMMANDS, main
from coherence.cli.completion import SHELLS
from coherence.vocabulary import Position

BIN = Path(sys.executable).parent


def completed(line: str) -> list[str]:
    """What bash offers at the end of a line."""
    script = f"""
PATH={BIN}:$PATH
eval "$(coherence completion bash)"
COMP_LINE={line!r} COMP_POINT={len(line)} COMP_TYPE=9
_python_argcomplete coherence
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return [word.strip() for word in run.stdout.splitlines()]


def test_bash_completes_commands():
    assert {command.name for command in COMMANDS} <= set(completed("coherence "))
    assert completed("coherence cal") == ["calibrate"]


def test_bash_completes_options_and_values():
    assert completed("coherence calibrate --hal") == ["--halves"]
    assert set(completed("coherence extract a b --position ")) == {position.value for position in Position}
    assert completed("coherence explain coll") == ["collinearity"]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_a_script_that_it_can_read(shell, tmp_path, capsys):
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    assert "coherence" in script.read_text()
    if found := shutil.which(shell):
        subprocess.run([found, "-n", str(script)], check=True)


def test_without_argcomplete_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "argcomplete.shell_integration", None)
    assert main(["completion", "bash"]) == 4
    assert "pip install 'pytest-coherence[completion]'" in capsys.readouterr().err
