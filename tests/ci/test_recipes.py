import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from coherence.results import AssertionResult, Results
from coherence.vocabulary import Verdict

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
    assert re.search(r"pytest --coherence suites/\s", text)
    assert re.search(r"--coherence-junit coherence-junit\.xml\s", text)


def test_github_publishes_also_after_a_failed_gate(ci):
    steps = github_steps(ci)
    gate = next(index for index, step in enumerate(steps) if "--coherence" in step.get("run", ""))
    assert len(steps[gate + 1 :]) == 4
    assert all(step["if"].startswith("!cancelled()") for step in steps[gate + 1 :])


def test_github_summary_shows_unexpected_verdicts_first(ci, tmp_path):
    def result(name: str, verdict: Verdict, tolerated: bool = False) -> AssertionResult:
        return AssertionResult(
            id=name,
            persona="pirate",
            family="markers",
            suite="suites/a.yaml",
            line=1,
            verdict=verdict,
            raw_verdict=verdict,
            tolerated=tolerated,
            sentence="|x|",
        )

    found = (
        result("pirate.a", Verdict.PASS),
        result("pirate.b", Verdict.FAIL),
        result("pirate.c", Verdict.INCONCLUSIVE, tolerated=True),
    )
    results = Results(started="2026-01-01T00:00:00Z", seconds=1, seed=0, versions={}, assertions=found)
    results.write(tmp_path / "coherence-results.json")
    script = github_steps(ci)[-1]["run"]
    environment = os.environ | {"GITHUB_STEP_SUMMARY": "summary.md", "PYTHONPATH": str(ci.parent)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").splitlines()[2:] == [
        "| `pirate.b` | fail :x: | \\|x\\| |",
        "| `pirate.a` | pass | \\|x\\| |",
        "| `pirate.c` | tolerated | \\|x\\| |",
    ]


def test_gitlab_reads_the_report_also_after_a_failed_gate(ci):
    artifacts = yaml.safe_load((ci / "gitlab-ci.yml").read_text())["persona coherence"]["artifacts"]
    assert artifacts["when"] == "always"
    assert artifacts["reports"]["junit"] == "coherence-junit.xml"


def test_jenkins_reads_a_valid_report_also_after_a_failed_gate(ci):
    text = (ci / "Jenkinsfile").read_text()
    assert text.count("{") == text.count("}")
    assert "--coherence-junit-strict" in text
    assert re.search(r"always \{\s+junit testResults: 'coherence-junit\.xml'", text)
