"""The three recipes, run step by step as their services do, for a good release and for a bad one."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree
from services import SERVICES

SUITE = """\
coherence: 1
release: {{base: {base}, adapters: {{pirate: ../adapters/pirate}}}}
personas: {{pirate: {{prompt: Talk like a pirate.}}}}
probes: [Where is my order?, Who are you?]
assertions:
  - {{property: commutativity, tier: smoke, laws: [scale-zero], examples: 1}}
  - {{property: commutativity, laws: [batch-mates], examples: 1}}
"""
SMOKE_LINE = 6
MIB = 1 << 20


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory, tiny, tiny_adapter) -> Path:
    """A release in main; pull requests that spoil its adapter, rewrite its suite, and do neither."""
    folder = tmp_path_factory.mktemp("repository")
    (folder / "suites").mkdir()
    suite = folder / "suites" / "a.coherence.yaml"
    suite.write_text(SUITE.format(base=tiny))
    shutil.copytree(tiny_adapter("pirate", seed=7), folder / "adapters" / "pirate")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "good")
    for branch, path in (("bad", "adapters/pirate/adapter_model.safetensors"), ("docs", "README.md")):
        git(folder, "checkout", "--quiet", "-b", branch, "main")
        (folder / path).write_text("spoiled")
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "--message", branch)
    git(folder, "checkout", "--quiet", "main")
    return folder


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Path:
    """Where all services build, with a cache that each leaves to the next."""
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(autouse=True)
def builds_import_nothing(warm_python, monkeypatch):
    """Let the commands of all builds be found beside an interpreter that has imported everything."""
    monkeypatch.setattr(sys, "executable", str(warm_python))


@pytest.fixture(params=SERVICES)
def build(request, repository, machine):
    return lambda branch, event: SERVICES[request.param](repository, machine, branch, event)


def results(build):
    return json.loads((build.artefacts / "coherence-results.json").read_text())


def test_every_night_a_good_release_passes_whole(build):
    done = build("main", "schedule")
    assert done.passed, done.log
    assert len(results(done)["assertions"]) == 2
    assert (done.folder / "cache" / ".coherence" / "store").is_dir()
    assert "there is no baseline coherence-baseline.json: nothing was compared" in done.log
    report = (done.artefacts / "coherence-report.html").read_text()
    assert "All 2 are as expected" in report


def test_a_pull_request_that_spoils_an_adapter_is_stopped_and_says_where(build):
    done = build("bad", "pull_request")
    assert done.gate == 1
    (found,) = results(done)["assertions"]
    assert (found["verdict"], found["line"], found["tier"]) == ("error", SMOKE_LINE, "smoke")
    names = {path.name for path in done.artefacts.iterdir()}
    assert {"coherence-results.json", "coherence-junit.xml", "coherence-report.html"} <= names
    cases = list(etree.parse(done.artefacts / "coherence-junit.xml").iter("testcase"))
    assert [len(case.findall("error")) for case in cases] == [1]


def test_a_pull_request_that_touches_no_release_asks_for_nothing(build):
    assert build("docs", "pull_request") is None


def test_github_annotates_the_line_and_fills_the_summary(repository, machine):
    done = SERVICES["github"](repository, machine, "bad", "pull_request")
    where = f"::error file=suites/a.coherence.yaml,line={SMOKE_LINE},"
    (command,) = (line for line in done.log.splitlines() if line.startswith("::"))
    assert command.startswith(where)
    summary = (machine / "summary.md").read_bytes()
    assert summary.startswith(b"## coherence\n\n1 of 1 assertions is not as expected; the first: `release.")
    assert len(summary) < MIB


def test_jenkins_reads_a_valid_report(repository, machine, junit_schema):
    done = SERVICES["jenkins"](repository, machine, "main", "schedule")
    report = etree.parse(done.artefacts / "coherence-junit.xml")
    assert junit_schema.validate(report), junit_schema.error_log
