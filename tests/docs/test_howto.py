"""The how-to pages: their commands, in one shell a page, on the tiny model.

The bad release of docs/howto/failure.md is on the reference model, and judged by tests/test_releases.py. What
the page shows of a red run is what that run's results are shown as.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny import write_letters_as_markers

from coherence.reports.grounds import explain
from coherence.reports.order import worst_first
from coherence.reports.terminal import summary
from coherence.results import Results

PAGES = Path(__file__).parents[2] / "docs" / "howto"
FENCED = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
TOLD = "A pirate captain who loves the sea."
ON_THE_REFERENCE_MODEL = "@fixtures/bad/"
VERDICTS = {0, 1}  # a random model need not pass; 4 or 5 would be a mistake of the page


@pytest.fixture
def shell(tmp_path, warm_python):
    """Run a command in the repository, its own commands without their imports."""

    def shell(*command):
        environment = os.environ | {
            "PATH": f"{warm_python.parent}{os.pathsep}{os.environ['PATH']}",
            "COHERENCE_CACHE": str(tmp_path / "cache"),
        }
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return shell


@pytest.fixture
def folder(tmp_path, shell, tiny, tiny_adapter):
    """A repository with a base, adapters and a suite for one of them."""
    shutil.copytree(tiny, tmp_path / "base")
    for name in ("pirate", "next"):
        shutil.copytree(tiny_adapter("pirate", seed=len(name)), tmp_path / "adapters" / name)
    artefacts = ["--base", "base", "--adapter", "adapters/pirate"]
    shell("coherence", "init", "--name", "pirate", "--no-model", "--out", "suites", *artefacts, TOLD)
    suite = tmp_path / "suites" / "pirate.coherence.yaml"
    suite.write_text(suite.read_text().replace("- property: markers", "- property: markers\n    tier: smoke"))
    return tmp_path


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.md")))
def test_every_command_works(page, shell, folder):
    commands = [
        line.strip()
        for found in FENCED.finditer((PAGES / f"{page}.md").read_text(encoding="utf-8"))
        for line in found[2].splitlines()
        if ON_THE_REFERENCE_MODEL not in line
    ]
    assert commands
    for command in commands:
        assert not command.startswith("pip"), "it would change the environment of the other tests"
        if command.startswith("coherence distill"):
            write_letters_as_markers(folder / command.split()[2])
        ran = shell("bash", "-c", command)
        expected = VERDICTS if command.startswith("pytest") else {0}
        assert ran.returncode in expected, f"{command}\n{ran.stdout}{ran.stderr}"


def test_a_red_run_is_shown_as_it_is():
    results = Results.read(Path(__file__).parent / "red-results.json")
    heads, table, *_ = re.findall(
        r"^```text\n(.*?)^```$", (PAGES / "failure.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    shown = [explain(result).split("\n\n")[0] for result in worst_first(results.assertions)[:3]]
    assert [" ".join(head.split()) for head in heads.split("\n\n")] == [
        " ".join(head.split()) for head in shown
    ]
    assert table == f"{summary(results, 80, color=False, ascii_only=True)}\n"
