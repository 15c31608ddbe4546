import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

RECIPES = ["github-actions.yml", "gitlab-ci.yml", "Jenkinsfile", "gate.sh"]
FLAG = re.compile(r"--coherence[\w-]*")


@pytest.fixture
def ci(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath / "ci"


def github_steps(ci: Path) -> list[dict[str, Any]]:
    return yaml.safe_load((ci / "github-actions.yml").read_text())["jobs"]["gate"]["steps"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_flag_is_one_of_the_plugin(ci, recipe, pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    registered = FLAG.findall(pytester.runpytest_subprocess("-p", "coherence.plugin", "--help").stdout.str())
    used = FLAG.findall((ci / recipe).read_text())
    assert "--coherence" in used
    assert set(used) <= set(registered)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_publishes_what_the_gate_writes(ci, recipe):
    text = (ci / recipe).read_text()
    assert re.search(r"pytest --coherence suites/(\*\.coherence\.yaml)?\s", text)
    assert re.search(r"--coherence-junit coherence-junit\.xml\s", text)


def test_github_publishes_also_after_a_failed_gate(ci):
    steps = github_steps(ci)
    gate = next(index for index, step in enumerate(steps) if "--coherence" in step.get("run", ""))
    assert len(steps[gate + 1 :]) == 3
    assert all(step["if"].startswith("!cancelled()") for step in steps[gate + 1 :])


def test_github_runs_the_gate_with_a_summary_and_annotations(ci, pytester, warm_python, monkeypatch):
    """As the runner does: the step's own words in a shell, on a suite that cannot be read."""
    suites = pytester.mkdir("suites")
    (suites / "a.coherence.yaml").write_text("coherence: 1\nprbes: []\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "step.md"))
    monkeypatch.setenv("PYTHONPATH", str(ci.parent))
    monkeypatch.setenv("PATH", f"{warm_python.parent}{os.pathsep}{os.environ['PATH']}")
    (script,) = (step["run"] for step in github_steps(ci) if "pytest --coherence" in step.get("run", ""))
    run = pytester.run("bash", "-e", "-c", script)
    assert run.ret == 1
    run.stdout.fnmatch_lines(["::error file=suites/a.coherence.yaml,line=2,title=a.suite%3A error::*prbes*"])
    run.stdout.fnmatch_lines(["there is no baseline coherence-baseline.json: nothing was compared"])
    assert "a.suite" in (pytester.path / "step.md").read_text()
    assert (pytester.path / "coherence-junit.xml").exists()


def test_gitlab_reads_the_report_also_after_a_failed_gate(ci):
    artifacts = yaml.safe_load((ci / "gitlab-ci.yml").read_text())[".coherence"]["artifacts"]
    assert artifacts["when"] == "always"
    assert artifacts["reports"]["junit"] == "coherence-junit.xml"


def test_jenkins_reads_a_valid_report_also_after_a_failed_gate(ci):
    text = (ci / "Jenkinsfile").read_text()
    assert text.count("{") == text.count("}")
    assert "--coherence-junit-strict" in text
    assert re.search(r"always \{\s+junit testResults: 'coherence-junit\.xml'", text)
