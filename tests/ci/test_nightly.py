"""nightly.sh in a copy of its own, whose interpreter notes what it is asked to run, and runs nothing."""

import os
import shutil
import subprocess

import pytest
import yaml

INTERPRETER = """#!/usr/bin/env bash
echo "$*" >>calls
# A bad release closes the gate.
[[ "$*" != *@* || "$*" == *"${PASSING:-nothing}"* ]] || exit 1
[[ "$*" != *"${FAILING:-nothing}"* ]]
"""
FOLDERS = [".", "space", "exports"]
BAD = ["one.args", "two.args"]
GATES = [["-m", "pytest", "--coherence", f"suites/{folder}/a.coherence.yaml", "-q"] for folder in FOLDERS]
SIGNALS = ["TERM", "INT", "KILL"]


@pytest.fixture
def nightly(tmp_path, pytestconfig):
    ci, interpreter = tmp_path / "ci", tmp_path / ".venv" / "bin" / "python"
    ci.mkdir()
    shutil.copy(pytestconfig.rootpath / "ci" / "nightly.sh", ci)
    (ci / "setup.sh").touch()
    bad = (f"fixtures/bad/{folder}/{name}" for folder in FOLDERS for name in BAD)
    for name in (*bad, *(gate[3] for gate in GATES)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(INTERPRETER)
    interpreter.chmod(0o755)

    def run(**environment: str) -> tuple[int, list[list[str]]]:
        found = subprocess.run(["bash", "ci/nightly.sh"], cwd=tmp_path, env=os.environ | environment)
        return found.returncode, [line.split() for line in (tmp_path / "calls").read_text().splitlines()]

    return run


def test_every_release_is_judged_whole(nightly):
    _, calls = nightly()
    assert calls[:9] == [
        call
        for folder, gate in zip(FOLDERS, GATES, strict=True)
        for call in (gate, *([*gate, f"@fixtures/bad/{folder}/{name}"] for name in BAD))
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_bad_release_that_gets_through_fails_the_night(nightly, folder):
    code, _ = nightly(PASSING=f"@fixtures/bad/{folder}/two")
    assert code == 1


def test_mutants_changes_and_signals_are_tried_as_often_as_asked(nightly, pytestconfig):
    code, calls = nightly(MUTANTS="5", CHANGES="6", MOMENTS="7", SEED="8")
    assert code == 0
    assert calls[9:] == [
        ["benchmarks/fuzz.py", "--mutants", "5", "--seed", "8"],
        ["benchmarks/changes.py", "--changes", "6", "--seed", "8"],
        *(["benchmarks/kills.py", "--signal", name, "--moments", "7"] for name in SIGNALS),
    ]
    for script, *arguments in calls[9:]:
        written = (pytestconfig.rootpath / script).read_text()
        assert all(f'"{flag}"' in written for flag in arguments if flag.startswith("--"))


@pytest.mark.parametrize("failing", ["-q", "fuzz.py", "changes.py", "INT"])
def test_what_finds_something_fails_the_night_and_the_rest_is_tried(nightly, failing):
    code, calls = nightly(FAILING=failing)
    assert (code, len(calls)) == (1, 14)


def test_each_night_has_mutants_of_its_own(nightly):
    _, calls = nightly()
    (seed,) = {call[call.index("--seed") + 1] for call in calls if "--seed" in call}
    assert seed.startswith("20")
    assert len(seed) == 8


def test_the_schedule_runs_the_script(pytestconfig):
    recipe = yaml.safe_load((pytestconfig.rootpath / "ci" / "nightly.yml").read_text())
    # YAML takes the key `on` for true.
    assert recipe[True]["schedule"] == [{"cron": "41 2 * * *"}]
    assert recipe["jobs"]["nightly"]["steps"][-1] == {"run": "bash ci/nightly.sh"}
