"""Where a run was made: told by git and by torch, and nothing where neither can tell."""

import subprocess
import sys

import pytest

from coherence.doctor.verification import Verification
from coherence.plugin.provenance import commit, device


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


@pytest.fixture
def repository(bench):
    """The bench's folder with a suite, committed; the hash."""
    bench.suite("passes")
    git(bench.path, "init", "--quiet")
    git(bench.path, "add", "a.coherence.yaml")
    git(bench.path, "commit", "--quiet", "--message", "first")
    git(bench.path, "tag", "v1")
    return git(bench.path, "rev-parse", "HEAD")


def test_a_run_says_the_commit_of_its_suites_and_the_device(bench, repository, monkeypatch):
    monkeypatch.setenv("COHERENCE_DEVICE", "cpu")
    assert bench.run().ret == 0
    assert (bench.results().commit, bench.results().device) == (repository, "cpu")
    with (bench.path / "a.coherence.yaml").open("a") as suite:
        suite.write("# changed\n")
    bench.run()
    assert bench.results().commit == f"{repository}-dirty"


def test_workers_say_it_too(bench, repository, tmp_path):
    bench.run_apart("-n", "2", store=tmp_path / "store")
    assert bench.results().commit == repository
    assert bench.results().device


def test_a_run_from_the_store_has_no_device(bench, repository):
    bench.run()
    bench.run_fresh()
    assert bench.results().device is None


def names(results):
    return [one.name for one in results.artefacts]


def test_results_have_a_digest_of_every_file_of_what_was_judged(bench):
    bench.suite("passes", "adapts")
    assert bench.run().ret == 0
    carried, steered = (
        [f"{kind} {name}" for name in ("counsel", "oncall", "pirate")] for kind in ("adapter", "vector")
    )
    assert names(bench.results()) == ["base", *carried, *steered]
    assert Verification(bench.results()).verdicts().state == "ok"
    found = list(Verification(bench.results()).of_run())
    assert {(check.state, check.found.rpartition(", ")[2]) for check in found} == {("ok", "as judged")}


def test_workers_and_warm_runs_have_the_same_digests(bench, tmp_path):
    bench.suite("steers", "adapts")
    bench.run()
    found = bench.results().artefacts
    assert len(found) == 7
    bench.run_apart("-n", "2")
    assert bench.results().artefacts == found


def test_what_a_test_requires_of_a_suite_was_judged(bench):
    bench.suite("passes", name="held/a")
    bench.pytester.makepyfile(
        """
        LAW = {"property": "commutativity", "laws": ["scale-zero"], "examples": 1}

        def test_scale(coherence):
            coherence("held/a.coherence.yaml").require(LAW)
        """
    )
    assert bench.run("-k", "scale").ret == 0
    assert "adapter pirate" in names(bench.results())


def test_what_was_not_measured_was_not_judged(bench, tmp_path):
    bench.suite("fails")
    bench.run("--coherence-budget=1 calls", store=tmp_path / "store")
    assert bench.results().artefacts == ()


def test_without_a_repository_or_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit(tmp_path) is None
    assert commit(tmp_path / "gone") is None
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) is None


def test_the_device_is_asked_of_torch_where_it_was_imported(monkeypatch):
    monkeypatch.setenv("COHERENCE_DEVICE", "cpu")
    assert device() == "cpu"
    monkeypatch.setitem(sys.modules, "torch", None)
    assert device() is None
