"""GitHub, GitLab and Jenkins on this machine: a recipe's own shell, step by step, in a fresh clone.

What the services do themselves is done plainly: a checkout is a clone, a cache a folder, an artefact a copy.
Installation alone is left out, as what is to be installed is here already. By hand:

    python tests/services.py github REPOSITORY FOLDER [--branch BRANCH] [--event pull_request|schedule]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

RECIPES = Path(__file__).parents[1] / "ci"
OWN = ("COHERENCE_", "GITHUB_", "GITLAB_", "CI", "JENKINS_", "PYTEST_")


@dataclass
class Build:
    """A checkout of a branch in `folder/workspace`, and what came of its steps."""

    folder: Path
    environment: dict[str, str]
    codes: list[int] = field(default_factory=list)
    log: str = ""

    @classmethod
    def of(cls, repository: Path, folder: Path, branch: str, environment: Mapping[str, str]) -> "Build":
        """Clone; the environment is this one's without what a service or this test has set."""
        workspace = folder / "workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        shutil.rmtree(folder / "artefacts", ignore_errors=True)
        clone = ["git", "clone", "--quiet", "--branch", branch, str(repository), str(workspace)]
        subprocess.run(clone, check=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return cls(folder, kept | {"PATH": path, "CI": "true"} | dict(environment))

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def artefacts(self) -> Path:
        return self.folder / "artefacts"

    @property
    def passed(self) -> bool:
        return bool(self.codes) and not any(self.codes)

    @property
    def gate(self) -> int:
        """Exit code of the last step."""
        return self.codes[-1]

    def shell(self, script: str) -> None:
        """Run a step in bash, unless one before it failed; an installation is only replaced."""
        if any(self.codes):
            return
        if "pip install" in script:
            (self.workspace / ".venv").mkdir()
            (self.workspace / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
            return
        bash = ["bash", "-e", "-o", "pipefail", "-c", script]
        run = subprocess.run(
            bash,
            cwd=self.workspace,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.codes.append(run.returncode)
        self.log += run.stdout

    def restore(self, path: str) -> None:
        """Take a folder out of the cache, if an earlier build left one."""
        kept = self.folder / "cache" / path
        if kept.exists():
            shutil.move(kept, self.workspace / path)

    def save(self, path: str) -> None:
        """Put a folder into the cache, if there is one; a later build takes it from there."""
        (self.folder / "cache").mkdir(exist_ok=True)
        if (self.workspace / path).exists():
            shutil.move(self.workspace / path, self.folder / "cache" / path)

    def publish(self, patterns: Iterable[str]) -> None:
        """Keep the artefacts; each pattern must find one."""
        self.artefacts.mkdir()
        for pattern in patterns:
            found = list(self.workspace.glob(pattern))
            assert found, f"{pattern}: there is no such file"
            for path in found:
                shutil.copy(path, self.artefacts)


def github(repository: Path, folder: Path, branch: str, event: str) -> Build | None:
    """Run ci/github-actions.yml; None where it is not for this event."""
    recipe = _yaml("github-actions.yml")
    triggers = recipe[True]  # `on` is a boolean of YAML 1.1
    asked = triggers.get(event)
    if event not in triggers or (
        asked and "paths" in asked and not _touched(repository, branch, asked["paths"])
    ):
        return None
    workspace = str(folder / "workspace")
    context = {"github.workspace": workspace, "github.run_id": "1"}
    variables = {name: _expanded(value, context) for name, value in recipe["env"].items()}
    service = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_WORKSPACE": workspace,
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }
    (folder / "summary.md").write_text("")
    build = Build.of(repository, folder, branch, service | variables)
    (build.workspace / "ci").mkdir()
    shutil.copy(RECIPES / "comment.py", build.workspace / "ci")  # as whoever copies the recipe does
    for step in recipe["jobs"]["gate"]["steps"]:
        condition = step.get("if", "success()")
        of_event = "github.event_name" not in condition or f"== '{event}'" in condition
        if of_event and (not any(build.codes) or condition.startswith("!cancelled()")):
            _github_step(build, step)
    return build


def _github_step(build: Build, step: Mapping[str, Any]) -> None:
    given = step.get("with", {})
    match step.get("uses", "").partition("@")[0]:
        case "":
            build.shell(step["run"])
        case "actions/cache/restore":
            build.restore(given["path"])
        case "actions/cache/save":
            build.save(given["path"])
        case "actions/upload-artifact":
            build.publish([given["path"]])
        case other:
            assert other in ("actions/checkout", "actions/setup-python"), other


def gitlab(repository: Path, folder: Path, branch: str, event: str) -> Build | None:
    """Run the job of ci/gitlab-ci.yml that is for this event, or None."""
    recipe = _yaml("gitlab-ci.yml")
    source = {"pull_request": "merge_request_event", "schedule": "schedule", "push": "push"}[event]
    known = {"CI_PIPELINE_SOURCE": source, "CI_DEFAULT_BRANCH": "main"}
    known |= {} if event == "pull_request" else {"CI_COMMIT_BRANCH": branch}
    jobs = [job for name, job in recipe.items() if not name.startswith(".")]
    wanted = [job for job in jobs if any(_rule(rule, known, repository, branch) for rule in job["rules"])]
    if not wanted:
        return None
    (job,) = (recipe[one["extends"]] | one for one in wanted)
    service = {"GITLAB_CI": "true", "CI_PROJECT_DIR": str(folder / "workspace")} | known
    context = {f"${name}": value for name, value in service.items()}
    variables = {name: _replaced(value, context) for name, value in job["variables"].items()}
    build = Build.of(repository, folder, branch, service | variables)
    for path in job["cache"]["paths"]:
        build.restore(path)
    for script in (*job["before_script"], *job["script"]):
        build.shell(script)
    assert job["cache"]["when"] == job["artifacts"]["when"] == "always"
    for path in job["cache"]["paths"]:
        build.save(path)
    build.publish([*job["artifacts"]["paths"], job["artifacts"]["reports"]["junit"]])
    return build


def _rule(rule: Mapping[str, Any], known: Mapping[str, str], repository: Path, branch: str) -> bool:
    left, right = rule["if"].split(" == ")
    value = known.get(right.removeprefix("$")) if right.startswith("$") else right.strip('"')
    changes = rule.get("changes")
    return known.get(left.removeprefix("$")) == value and (
        not changes or _touched(repository, branch, changes)
    )


def jenkins(repository: Path, folder: Path, branch: str, event: str) -> Build | None:
    """Run the stages of ci/Jenkinsfile that are for this event; None where only the installation is.

    The workspace is kept from build to build on Jenkins: what is not in the repository stays.
    """
    text = (RECIPES / "Jenkinsfile").read_text()
    context = {"${WORKSPACE}": str(folder / "workspace")}
    written = re.findall(r'^ +(\w+) = "(.*)"$', text, re.M)
    service = {
        "JENKINS_URL": "http://localhost/",
        "WORKSPACE": str(folder / "workspace"),
        "BRANCH_NAME": branch,
    }
    build = Build.of(
        repository, folder, branch, service | {name: _replaced(v, context) for name, v in written}
    )
    build.restore(".coherence")
    for stage in text.partition("stages {")[2].partition("post {")[0].split("stage(")[1:]:
        if _stage_is_for(stage, event, repository, branch):
            for long, short in re.findall(r"\bsh (?:'''(.*?)'''|'([^']*)')", stage, re.S):
                build.shell(long or short)
    build.save(".coherence")
    (published,) = re.findall(r"archiveArtifacts artifacts: '(.*?)'", text)
    (report,) = re.findall(r"junit testResults: '(.*?)'", text)
    if not (build.workspace / report).exists():
        return None
    build.publish([report, *published.split(", ")])
    return build


def _stage_is_for(stage: str, event: str, repository: Path, branch: str) -> bool:
    when = stage.partition("when {")[2].partition("steps {")[0]
    if "not { changeRequest() }" in when:
        return event != "pull_request"
    patterns = re.findall(r"changeset '(.*?)'", when)
    return not when or (event == "pull_request" and _touched(repository, branch, patterns))


SERVICES = {"github": github, "gitlab": gitlab, "jenkins": jenkins}


def _yaml(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((RECIPES / name).read_text())
    return found


def _expanded(text: str, context: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: context[found[1]], text)


def _replaced(text: str, context: Mapping[str, str]) -> str:
    for name, value in context.items():
        text = text.replace(name, value)
    return text


def _touched(repository: Path, branch: str, patterns: Sequence[str]) -> bool:
    """Whether a branch changes a file that one of the patterns names, as seen from main."""
    diff = ["git", "-C", str(repository), "diff", "--name-only", f"main...{branch}"]
    files = subprocess.run(diff, check=True, capture_output=True, text=True).stdout.splitlines()
    return any(_regex(pattern).fullmatch(file) for pattern in patterns for file in files)


def _regex(pattern: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    split = re.split(r"(\*\*/|\*\*|\*)", pattern)
    return re.compile("".join(parts.get(part, re.escape(part)) for part in split))


def main() -> int:
    """Run a recipe by hand, and say what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("repository", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--branch", default="main")
    parser.add_argument("--event", default="schedule", choices=["pull_request", "schedule"])
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    build = SERVICES[given.service](given.repository, given.folder.absolute(), given.branch, given.event)
    if build is None:
        print(f"{given.service} does nothing for this {given.event}")
        return 0
    print(build.log)
    print(f"exit codes {build.codes}; artefacts {sorted(path.name for path in build.artefacts.iterdir())}")
    return 0 if build.passed else 1


if __name__ == "__main__":
    sys.exit(main())
