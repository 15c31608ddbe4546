"""What a run leaves for the page of a CI run: the summary, and annotations on stdout."""

import pytest


def commands(run):
    return [line for line in run.outlines if line.startswith("::")]


@pytest.fixture(autouse=True)
def _outside(monkeypatch):
    for name in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


def test_the_summary_is_added_to_the_page_of_the_step(bench, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(bench.path / "step.md"))
    bench.suite("passes", "fails")
    (bench.path / "step.md").write_text("before\n")
    assert bench.run("--coherence-markdown=step.md").ret == 1
    lines = (bench.path / "step.md").read_text().splitlines()
    assert lines[:2] == ["before", "## coherence"]
    rows = [line for line in lines if line.startswith("| `")]
    assert [row.split(" | ")[1] for row in rows] == ["fail :x:", "pass"]


def test_no_summary_is_written_unasked(bench):
    bench.suite("passes")
    bench.run()
    assert not list(bench.path.glob("*.md"))


def test_a_summary_that_cannot_be_written_is_no_success(bench):
    bench.suite("passes")
    run = bench.run("--coherence-markdown=.")
    assert run.ret == 4
    run.stdout.re_match_lines([r"--coherence-markdown \. cannot be written: .*"])


@pytest.mark.parametrize(
    ("option", "on_github", "expected"),
    [
        (None, False, 0),
        (None, True, 1),
        ("auto", True, 1),
        ("none", True, 0),
        ("github", False, 1),
    ],
)
def test_verdicts_are_annotated_where_github_reads_them(bench, monkeypatch, option, on_github, expected):
    if on_github:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_WORKSPACE", str(bench.path.parent))
    line = bench.suite("passes", "fails")["fails"]
    run = bench.run(*([f"--coherence-annotations={option}"] if option else []))
    found = commands(run)
    assert len(found) == expected
    where = f"{bench.path.name}/" if on_github else ""
    title = "title=pirate.fails.prompt-adapter%3A fail"
    assert all(
        command.startswith(f"::error file={where}a.coherence.yaml,line={line},{title}::pirate.fails")
        for command in found
    )


def test_workers_annotate_once(bench):
    bench.suite("passes", "fails")
    assert len(commands(bench.run_apart("-n", "2", "--coherence-annotations=github"))) == 1


def test_annotations_may_be_configured(bench):
    bench.suite("fails")
    bench.pytester.makeini("[pytest]\ncoherence_annotations = github")
    assert len(commands(bench.run())) == 1


def test_another_ci_is_a_usage_error(bench):
    bench.suite("passes")
    run = bench.run("--coherence-annotations=gitlab")
    assert run.ret == 4
    run.stderr.fnmatch_lines(["*--coherence-annotations: unknown choice 'gitlab'; did you mean 'github'?"])
