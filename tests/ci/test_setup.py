"""setup.sh in a copy of its own; the interpreter notes what it is asked to install and installs nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

INTERPRETER = f"""#!/usr/bin/env bash
if [[ $1 == -m ]]; then
  echo "${{*:2}}" >>calls
  mkdir -p .venv/bin && cp -f "$0" .venv/bin/.python && mv .venv/bin/.python .venv/bin/python
else
  exec {sys.executable} -c "${{PRELUDE:-}}"$'\\n'"$2"
fi
"""


@pytest.fixture
def copy(tmp_path: Path, pytestconfig: pytest.Config) -> Path:
    shutil.copytree(pytestconfig.rootpath / "ci", tmp_path / "ci")
    shutil.copy(pytestconfig.rootpath / "pyproject.toml", tmp_path)
    interpreter = tmp_path / "python"
    interpreter.write_text(INTERPRETER)
    interpreter.chmod(0o755)
    return tmp_path


def setup(copy: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHON": str(copy / "python")} | environment
    return subprocess.run(
        ["bash", "ci/setup.sh"], cwd=copy, env=os.environ | environment, capture_output=True, text=True
    )


def calls(copy: Path) -> list[str]:
    return (copy / "calls").read_text().splitlines()


def test_setup_installs_the_pins_and_then_the_project(copy):
    assert setup(copy).returncode == 0
    venv, pins, project = calls(copy)
    assert venv == "venv --clear .venv"
    assert pins.endswith("install --no-compile --requirement ci/requirements.txt")
    assert project.endswith("--editable .")


def test_a_repeat_installs_nothing(copy):
    setup(copy)
    first = calls(copy)
    assert setup(copy).returncode == 0
    assert calls(copy) == first


@pytest.mark.parametrize("changed", ["ci/requirements.txt", "pyproject.toml"])
def test_a_change_installs_again(copy, changed):
    setup(copy)
    with (copy / changed).open("a") as file:
        file.write("# changed\n")
    setup(copy)
    assert len(calls(copy)) == 6


def test_an_interrupted_setup_is_done_again(copy):
    setup(copy)
    (copy / ".venv" / "made-from").unlink()
    setup(copy)
    assert len(calls(copy)) == 6


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PYTHON": "no-such-python"}, "there is no no-such-python here"),
        ({"PRELUDE": "import sys; sys.version_info = (3, 9, 2)"}, "is Python 3.9.2; expected 3.11 or newer"),
        ({"PRELUDE": "import sys; sys.modules['ensurepip'] = None"}, "lacks the venv module"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(copy, environment, sentence):
    run = setup(copy, **environment)
    assert run.returncode == 1
    assert sentence in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not (copy / ".venv").exists()
