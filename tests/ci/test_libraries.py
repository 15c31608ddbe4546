"""The oldest and the newest libraries: what is written of them is the same everywhere."""

import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement


@pytest.fixture
def project(pytestconfig):
    return tomllib.loads((pytestconfig.rootpath / "pyproject.toml").read_text())["project"]


@pytest.fixture
def job(pytestconfig):
    written = yaml.safe_load((pytestconfig.rootpath / "ci" / "libraries.yml").read_text())
    return written["jobs"]["core"]


def test_the_oldest_are_the_lower_ends_of_the_ranges(project, pytestconfig):
    declared = map(Requirement, project["dependencies"])
    expected = [f"{one.name}=={bound.version}" for one in declared for bound in one.specifier]
    lines = (pytestconfig.rootpath / "ci" / "oldest.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == expected


def test_every_python_that_is_stated_has_its_jobs(project, job):
    named = "Programming Language :: Python :: 3."
    stated = [one.removeprefix(named) for one in project["classifiers"] if one.startswith(named)]
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in stated]
    assert project["requires-python"] == f">=3.{stated[0]}"


def test_the_job_asks_for_what_the_script_knows(job, pytestconfig):
    assert job["strategy"]["matrix"]["libraries"] == ["oldest", "newest"]
    assert job["steps"][-1]["run"].startswith("bash ci/libraries.sh ${{ matrix.libraries }}")
    script = pytestconfig.rootpath / "ci" / "libraries.sh"
    refused = subprocess.run(["bash", script, "middle"], capture_output=True, text=True)
    assert (refused.returncode, refused.stderr) == (
        4,
        "libraries: found 'middle', expected oldest or newest.\n",
    )
    assert all(f"  {which})" in script.read_text() for which in ("oldest", "newest"))
