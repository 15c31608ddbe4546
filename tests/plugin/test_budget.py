"""Budgets: what is whole is judged, what is not is inconclusive, and the next run goes on."""

from xml.etree import ElementTree

import pytest

from coherence.cli import main

LAW = "release.passes.dose-zero"
# A law's search is one call; of replies and residuals this one takes many.
HALF = "--coherence-budget=20 calls"


@pytest.fixture
def fresh(tmp_path):
    """A store in which nothing is."""
    return tmp_path / "fresh"


@pytest.fixture
def cut(bench, fresh):
    """A run that ended early: the law stands behind, and is judged as it needs less."""
    bench.suite("speaks", "passes")
    return bench.run(HALF, "--coherence-junit=j.xml", "--coherence-html=h.html", store=fresh)


def test_what_is_whole_is_judged_and_the_rest_is_inconclusive(bench, cut):
    assert cut.ret == 1
    cut.assert_outcomes(passed=1, failed=1)
    assert bench.verdicts() == {LAW: "pass", bench.ids["speaks"]: "inconclusive"}
    cut.stdout.fnmatch_lines(["coherence: *, budget 20 calls", "1 pass, 1 inconclusive in *"])


def test_the_sentence_says_what_is_missing_and_is_in_every_report(bench, cut):
    # 24 replies for the markers, of the persona by prompt and adapter, and bare; the law took a call.
    missing = "5 of its 24 measurements are missing, as the budget of 20 calls is spent"
    name = bench.ids["speaks"]
    sentence = f"{name} is inconclusive: not measured: {missing}; run again to go on from there"
    assert bench.sentence("speaks") == sentence
    (case,) = (
        case for case in ElementTree.parse(bench.path / "j.xml").iter("testcase") if case.get("name") == name
    )
    assert case.find("failure").get("message") == sentence
    assert missing in (bench.path / "h.html").read_text()
    cut.stdout.re_match_lines([r"  speaks\.prompt-adapter +not measured .* inconclusive"])


def test_the_next_runs_go_on_and_come_to_the_same(bench, fresh):
    bench.suite("speaks", "passes")
    runs = [bench.run(HALF, "--coherence-inconclusive=warn", store=fresh).ret for _ in range(3)]
    assert runs == [0, 0, 0]
    resumed = bench.results().assertions
    assert not any(result.unmeasured for result in resumed)
    bench.run()
    whole = bench.results().assertions
    assert [result.verdict for result in resumed] == [result.verdict for result in whole]


def test_the_policy_lets_it_pass_whatever_was_expected(bench, fresh):
    markers = "property: markers, min_agreement: 1, max_difference: 0.1, min_recovery: 0.5"
    bench.suite(
        "passes",
        f"{{{markers}, personas: [pirate], between: [prompt, adapter], expect: {{fail: min_agreement}}}}",
    )
    run = bench.run("--coherence-budget=3 calls", "--coherence-inconclusive=warn", store=fresh)
    assert run.ret == 0
    run.stdout.fnmatch_lines(["1 pass, 1 tolerated in *"])


def test_smoke_comes_first_however_much_it_needs(bench, fresh):
    smoke = (
        "{id: first, tier: smoke, property: collinearity, between: [prompt, adapter], personas: [pirate], "
    )
    bench.suite("passes", smoke + "sites: resid_post.2, min_cosine: 1, min_ceiling: 0}")
    bench.run("--coherence-budget=10 calls", store=fresh)
    assert bench.sentence("passes").startswith(f"{LAW} is inconclusive: not measured: 1 of its 1 ")


def test_an_artefact_that_cannot_be_used_is_an_error_all_the_same(bench, fresh):
    bench.suite("speaks", "passes")
    path = bench.path / "a.coherence.yaml"
    text = path.read_text()
    old = next(line for line in text.splitlines() if line.startswith("    pirate: /"))
    path.write_text(text.replace(old, "    pirate: ./nowhere", 1))
    bench.run("--coherence-budget=1 call", store=fresh)
    assert bench.verdicts()[bench.ids["speaks"]] == "error"


def test_workers_of_xdist_keep_within_a_time(bench, fresh):
    bench.suite("speaks", "passes")
    assert bench.run_apart("-n", "2", "--coherence-budget=0.001s", store=fresh).ret == 1
    assert set(bench.verdicts().values()) == {"inconclusive"}
    assert bench.run_apart("-n", "2", "--coherence-budget=1h", store=fresh).ret != 4
    assert not any(result.unmeasured for result in bench.results().assertions)


def test_a_part_of_a_run_is_neither_vanished_nor_recorded(bench, fresh):
    bench.suite("speaks", "passes")
    bench.run()
    assert main(["bless", "coherence-results.json", "--out", "b.json"]) == 0
    run = bench.run(
        HALF,
        "--coherence-baseline=b.json",
        "--coherence-baseline-fail=vanished",
        "--coherence-inconclusive=warn",
        store=fresh,
    )
    assert run.ret == 0
    assert {change.assertion for change in bench.results().comparison.changes} == {LAW}
    run = bench.run(
        "--coherence-budget=0.001s",
        "--coherence-baseline=none.json",
        "--coherence-baseline-missing=record",
        "--coherence-inconclusive=warn",
        store=fresh / "other",
    )
    run.stdout.fnmatch_lines(["there is no baseline none.json, and none is recorded of a part of a run"])
    assert not (bench.path / "none.json").exists()


def test_a_run_that_measured_nothing_of_the_baseline_compares_nothing(bench, fresh):
    bench.suite("passes")
    bench.run()
    assert main(["bless", "coherence-results.json", "--out", "b.json"]) == 0
    arguments = ("--coherence-budget=0.001s", "--coherence-baseline=b.json", "--coherence-inconclusive=warn")
    run = bench.run(*arguments, store=fresh)
    assert run.ret == 0
    run.stdout.fnmatch_lines(["nothing of the baseline b.json was measured: nothing was compared"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--coherence-budget=soon"],
            "--coherence-budget: 'soon' is no budget; expected a time in s, m or h, *",
        ),
        (
            ["--coherence-budget=9 calls", "-n2"],
            "--coherence-budget '9 calls': each worker of pytest-xdist *",
        ),
    ],
)
def test_a_budget_that_cannot_be_kept_is_a_usage_error(bench, arguments, said):
    bench.suite("passes")
    run = bench.run_apart(*arguments)
    assert run.ret == 4
    run.stderr.fnmatch_lines([f"*{said}"])
    assert "Traceback" not in run.stderr.str()
