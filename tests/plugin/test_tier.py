"""Tiers: a quick run judges what the suites mark for it, and says nothing about the rest."""

import pytest

from coherence.cli import main

BASELINE = "--coherence-baseline=b.json"
SMOKE = "{property: commutativity, id: quick, laws: [dose-zero], examples: 1, tier: smoke}"
QUICK, LONG = "release.quick.dose-zero", "release.adapts.scale-zero"


@pytest.fixture
def tiers(bench):
    bench.suite(SMOKE, "adapts")
    return bench


def test_all_is_judged_unless_asked_otherwise(tiers):
    tiers.run().assert_outcomes(passed=2)
    assert {result.id: result.tier for result in tiers.results().assertions} == {QUICK: "smoke", LONG: "full"}


@pytest.mark.parametrize("how", ["flag", "ini", "flag over ini"])
def test_smoke_deselects_the_rest(tiers, how):
    ini = {"flag": "", "ini": "coherence_tier = smoke", "flag over ini": "coherence_tier = full"}[how]
    tiers.pytester.makeini(f"[pytest]\n{ini}")
    run = tiers.run(*(["--coherence-tier=smoke"] if "flag" in how else []))
    run.assert_outcomes(passed=1, deselected=1)
    run.stdout.fnmatch_lines(["coherence: *, smoke tier", "collected 2 items / 1 deselected / 1 selected"])
    assert tiers.verdicts() == {QUICK: "pass"}


def test_the_listing_names_the_tier(tiers):
    tiers.run("--collect-only").stdout.fnmatch_lines([f"*{QUICK} (smoke)>", f"*{LONG} (full)>"])


def test_tests_that_are_no_assertions_stay(tiers):
    tiers.pytester.makepyfile("def test_of_ones_own(): pass")
    tiers.run("--coherence-tier=smoke", ".").assert_outcomes(passed=2, deselected=1)


def test_nothing_in_the_tier_is_no_success(bench):
    bench.suite("passes")
    run = bench.run("--coherence-tier=smoke")
    assert run.ret == 5
    run.stdout.fnmatch_lines(["no assertion was judged: the gate has not passed"])


def test_a_tier_that_is_none_is_refused(bench):
    bench.suite(SMOKE)
    run = bench.run("--coherence-tier=smok")
    assert run.ret == 4
    run.stderr.fnmatch_lines(["*--coherence-tier: unknown choice 'smok'; did you mean 'smoke'?"])
    line = bench.suite(SMOKE.replace("smoke", "smok"))[SMOKE.replace("smoke", "smok")]
    run = bench.run()
    assert run.ret == 1
    run.stdout.re_match_lines([rf".*a\.coherence\.yaml:{line}: .*'smok'; did you mean 'smoke'\?"])


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_what_was_not_asked_for_has_not_vanished(tiers, workers):
    assert tiers.run().ret == 0
    assert main(["bless", "coherence-results.json", "--out", "b.json"]) == 0
    fail = "--coherence-baseline-fail=vanished"
    run = tiers.run_apart(BASELINE, fail, "--coherence-tier=smoke", *workers)
    assert run.ret == 0
    assert [change.assertion for change in tiers.results().comparison.changes] == [QUICK]
    # Left out by -k it has, and so has what a suite no longer asserts.
    assert tiers.run_apart(BASELINE, fail, "-k", "quick", *workers).ret == 1
    tiers.suite(SMOKE)
    assert tiers.run_apart(BASELINE, fail, "--coherence-tier=smoke", *workers).ret == 1
