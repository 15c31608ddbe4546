"""A run beside a baseline: what is compared, what fails, and what is done where there is none."""

import json
from xml.etree import ElementTree

import pytest

from coherence.baseline import Baseline
from coherence.cli import main

BASELINE = "--coherence-baseline=b.json"


@pytest.fixture
def blessed(bench):
    """A baseline of a green run of a suite."""
    bench.suite("passes", "fails as expected")
    assert bench.run().ret == 0
    assert main(["bless", "coherence-results.json", "--out", "b.json"]) == 0
    return bench.path / "b.json"


def worsen(path, statistic="specific cosine", by=0.3):
    """Make the baseline better, so that the same run is worse."""
    text = json.loads(path.read_text())
    for line in text["suites"]["a.coherence.yaml"]["criteria"]:
        if line["statistic"] == statistic:
            line |= {end: line[end] + by for end in ("value", "low", "high")}
    path.write_text(json.dumps(text))


def kinds(bench):
    return {
        (change.assertion, change.statistic): change.kind for change in bench.results().comparison.changes
    }


def test_the_same_release_is_level(bench, blessed):
    before = blessed.read_bytes()
    run = bench.run(BASELINE)
    assert run.ret == 0
    assert set(kinds(bench).values()) == {"level"}
    run.stdout.re_match_lines([r"since the baseline of .*: \d+ level$"])
    assert blessed.read_bytes() == before


def test_without_the_option_nothing_is_compared(bench, blessed):
    run = bench.run()
    assert bench.results().comparison is None
    assert "baseline" not in run.stdout.str()


def test_what_regressed_fails_the_run_and_is_in_every_report(bench, blessed):
    worsen(blessed)
    run = bench.run(BASELINE, "--coherence-junit=j.xml", "--coherence-markdown=s.md")
    assert run.ret == 1
    run.assert_outcomes(passed=2)
    found = kinds(bench)
    assert found["pirate.known.adapter-adapter+steering", "specific cosine"] == "regressed"
    assert found["release.passes.dose-zero", "deviation"] == "level"
    run.stdout.re_match_lines(
        [
            r"known\.adapter-adapter\+steering .*|.*specific cosine .* regressed *",
            r"since .* 1 regressed, .*: 1 fails the run",
        ],
        consecutive=False,
    )
    (case,) = (
        one
        for one in ElementTree.parse(bench.path / "j.xml").iter("testcase")
        if one.get("name") == "baseline"
    )
    assert "1 regressed" in case.find("failure").get("message")
    assert "pirate.known.adapter-adapter+steering, specific cosine: " in case.find("failure").text
    assert ": 1 fails the run" in (bench.path / "s.md").read_text()


def test_a_baseline_that_is_kept_is_a_green_case(bench, blessed):
    bench.run(BASELINE, "--coherence-junit=j.xml", "--coherence-junit-strict")
    (case,) = (
        one
        for one in ElementTree.parse(bench.path / "j.xml").iter("testcase")
        if one.get("name") == "baseline"
    )
    assert case.find("failure") is None
    assert case.get("file") is None


@pytest.mark.parametrize("how", ["flag", "ini"])
def test_a_regression_may_be_told_only(bench, blessed, how):
    worsen(blessed)
    if how == "ini":
        bench.pytester.makeini("[pytest]\ncoherence_baseline_fail = none")
    run = bench.run(BASELINE, *(["--coherence-baseline-fail=none"] if how == "flag" else []))
    assert run.ret == 0
    run.stdout.re_match_lines([r"since .* 1 regressed, .* level$"])


def test_the_tolerance_is_an_option(bench, blessed):
    worsen(blessed)
    assert bench.run(BASELINE, "--coherence-baseline-tolerance=0.5").ret == 0
    assert bench.results().comparison.tolerance == 0.5


def test_what_vanished_fails_the_run_only_where_that_is_asked_for(bench, blessed):
    assert bench.run(BASELINE, "-k", "passes").ret == 0
    assert kinds(bench)["pirate.known.adapter-adapter+steering", "specific cosine"] == "vanished"
    run = bench.run(BASELINE, "-k", "passes", "--coherence-baseline-fail=vanished")
    assert run.ret == 1
    run.stdout.re_match_lines([r"since .* vanished, .*: \d fail the run"])


def test_what_appeared_is_told(bench, blessed):
    bench.suite("passes", "fails as expected", "speaks")
    bench.run(BASELINE)
    found = kinds(bench)
    assert {kind for (name, _), kind in found.items() if name == bench.ids["speaks"]} == {"appeared"}


def test_other_probes_are_no_comparison_unless_told(bench, blessed):
    bench.edit("  - Who are you?\n", "  - Who are they?\n")
    run = bench.run(BASELINE)
    assert run.ret == 4
    run.stdout.fnmatch_lines(
        [
            "--coherence-baseline b.json: a.coherence.yaml asks with other probes than the baseline "
            "(added who-are-they, gone who-are-you): *"
        ]
    )
    assert bench.results().comparison is None
    assert bench.verdicts()[bench.ids["passes"]] == "pass"
    assert bench.run(BASELINE, "--coherence-baseline-anyway").ret == 0
    assert bench.results().comparison.notes


def test_a_baseline_of_another_suite_is_no_comparison(bench, blessed):
    (bench.path / "a.coherence.yaml").rename(bench.path / "b.coherence.yaml")
    run = bench.run(BASELINE, "--coherence-baseline-anyway")
    assert run.ret == 4
    run.stdout.fnmatch_lines(["--coherence-baseline b.json: a baseline of other suites: *"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"format": 1', '"format": 7', "not a baseline of format 1: format: *"),
        ('"asked"', '"asking"', "not a baseline of format 1: suites.a.coherence.yaml.asked: *"),
        ('"low":', '"low":9,"was":', "not a baseline of format 1: suites.a.coherence.yaml.criteria.0*"),
        ('"n":', '"n":,', "not a baseline of format 1: the document: Invalid JSON*"),
    ],
)
def test_what_is_no_baseline_is_a_usage_error_before_anything_is_measured(
    bench, blessed, tmp_path, old, new, said
):
    blessed.write_text(blessed.read_text().replace(old, new, 1))
    run = bench.run(BASELINE, store=tmp_path / "store")
    assert run.ret == 4
    run.stderr.fnmatch_lines([f"ERROR: --coherence-baseline b.json: {said}"])
    assert not (tmp_path / "store").exists()


def test_no_baseline_is_a_usage_error_that_says_what_to_do(bench):
    bench.suite("passes")
    run = bench.run(BASELINE)
    assert run.ret == 4
    run.stderr.fnmatch_lines(
        ["ERROR: --coherence-baseline b.json: there is no such file; `coherence bless *"]
    )


def test_no_baseline_may_be_a_warning(bench):
    bench.suite("passes")
    run = bench.run(BASELINE, "--coherence-baseline-missing=warn")
    assert run.ret == 0
    run.stdout.fnmatch_lines(["there is no baseline b.json: nothing was compared"])
    assert not (bench.path / "b.json").exists()


def test_the_first_green_run_may_be_recorded_and_the_second_is_not(bench):
    bench.suite("passes")
    record = (BASELINE, "--coherence-baseline-missing=record")
    run = bench.run(*record)
    assert run.ret == 0
    run.stdout.fnmatch_lines(["recorded as the baseline b.json, of 1 criteria: commit it"])
    assert Baseline.read(bench.path / "b.json") == Baseline.of(bench.results())
    before = (bench.path / "b.json").read_bytes()
    bench.suite("passes", "speaks")
    bench.run(*record)
    assert (bench.path / "b.json").read_bytes() == before


def test_a_red_run_is_not_recorded(bench):
    bench.suite("passes", "fails")
    run = bench.run(BASELINE, "--coherence-baseline-missing=record")
    assert run.ret == 1
    run.stdout.fnmatch_lines(["there is no baseline b.json, and none is recorded of a run that is not green"])
    assert not (bench.path / "b.json").exists()


def test_a_baseline_that_cannot_be_recorded_is_no_success(bench):
    bench.suite("passes")
    (bench.path / "file").touch()
    run = bench.run("--coherence-baseline=file/b.json", "--coherence-baseline-missing=record")
    assert run.ret == 4
    run.stdout.fnmatch_lines(["--coherence-baseline file/b.json cannot be written: *"])


def test_workers_compare_as_one_process_does(bench, blessed):
    worsen(blessed)
    bench.run(BASELINE)
    before = bench.results().comparison
    run = bench.run_apart("-n", "2", BASELINE)
    assert run.ret == 1
    assert bench.results().comparison == before


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("missing=recrd", "--coherence-baseline-missing: unknown choice 'recrd'; did you mean 'record'?"),
        ("fail=all", "--coherence-baseline-fail: unknown choice 'all'; expected one of *"),
        ("tolerance=-1", "*expected a number from 0 up, found '-1'"),
        ("tolerance=nan", "*expected a number from 0 up, found 'nan'"),
    ],
)
def test_a_choice_that_is_none_is_a_usage_error(bench, option, said):
    bench.suite("passes")
    run = bench.run(f"--coherence-baseline-{option}")
    assert run.ret == 4
    run.stderr.fnmatch_lines([f"*{said}"])
