"""Many assertions, one gate: what is adjusted, and what an inconclusive verdict does."""

from xml.etree import ElementTree

import pytest

PROPERTY = "property: collinearity, between: [adapter, adapter+steering], sites: resid_post.1..3"


def claim(name, cosine):
    return f"{{id: {name}, {PROPERTY}, personas: [pirate], min_ceiling: 0, min_cosine: {cosine}}}"


@pytest.fixture
def borderline(bench):
    """A claim that fails by itself, in a suite with many others that do not, and its id."""
    bench.suite(claim("close", 1))
    bench.run()
    (alone,) = bench.results().assertions
    high = alone.evidence.criteria[0].estimate.high
    assert high < 0.95
    threshold = round(high + 0.02, 4)
    bench.suite(claim("close", threshold), *(claim(f"other{number}", -0.99) for number in range(20)))
    return "pirate.close.adapter-adapter+steering"


def found(bench, name):
    (result,) = (one for one in bench.results().assertions if one.id == name)
    return result


def test_what_fails_alone_is_inconclusive_among_many(bench, borderline):
    run = bench.run("--coherence-junit=j.xml", "-rA")
    assert run.ret == 1
    result = found(bench, borderline)
    assert (result.verdict, result.raw_verdict) == ("inconclusive", "fail")
    criterion = result.evidence.criteria[0]
    assert criterion.adjusted.among == 2 * 21
    assert criterion.p < 0.025 < 0.05 < criterion.adjusted.p
    assert f"not among 42 criteria (Holm: {criterion.adjusted.p:.2g})" in result.sentence
    run.stdout.re_match_lines([r" +close\.adapter-adapter\+steering .* inconclusive, *", r" +fail alone *"])
    (case,) = (
        case
        for case in ElementTree.parse(bench.path / "j.xml").iter("testcase")
        if case.get("name") == borderline
    )
    assert "[[PROPERTY|raw_verdict=fail]]" in case.find("system-out").text


def test_alone_it_fails_with_holm_as_well(bench, borderline):
    bench.run("-k", "close")
    assert found(bench, borderline).verdict == "fail"


@pytest.mark.parametrize("how", ["flag", "ini", "flag over ini"])
def test_nothing_is_adjusted_where_that_is_asked_for(bench, borderline, how):
    ini = {"flag": "", "ini": "coherence_adjust = none", "flag over ini": "coherence_adjust = holm"}[how]
    bench.pytester.makeini(f"[pytest]\n{ini}")
    run = bench.run(*(["--coherence-adjust=none"] if "flag" in how else []))
    result = found(bench, borderline)
    assert (result.verdict, result.raw_verdict) == ("fail", "fail")
    assert result.evidence.criteria[0].adjusted is None
    assert bench.results().policy.adjust == "none"
    run.stdout.fnmatch_lines(["coherence: *, fails not adjusted"])


def test_a_law_is_exact_and_is_not_adjusted(bench, borderline):
    bench.suite("passes", "fails")
    bench.run()
    law = found(bench, bench.ids["passes"]).evidence.criteria[0]
    assert (law.p, law.adjusted) == (None, None)
    assert found(bench, bench.ids["fails"]).evidence.criteria[0].adjusted


def test_a_fail_that_is_expected_is_judged_alone(bench, borderline):
    text = (bench.path / "a.coherence.yaml").read_text()
    (bench.path / "a.coherence.yaml").write_text(
        text.replace("{id: close, ", "{id: close, expect: {fail: min_cosine}, ")
    )
    for arguments in ([], ["--coherence-inconclusive=warn"]):
        bench.run("-k", "close or other", *arguments)
        result = found(bench, borderline)
        assert (result.outcome, result.green) == ("expected fail", True)
    assert bench.run("-k", "close").ret == 0


def test_workers_adjust_as_one_process_does(bench, borderline):
    bench.run()
    before = found(bench, borderline)
    bench.run_apart("-n", "2")
    after = found(bench, borderline)
    assert (after.sentence, after.evidence) == (before.sentence, before.evidence)


@pytest.mark.parametrize("how", ["flag", "ini", "flag over ini"])
def test_an_inconclusive_verdict_may_warn(bench, how):
    line = bench.suite("passes", "unsure")["unsure"]
    ini = {
        "flag": "",
        "ini": "coherence_inconclusive = warn",
        "flag over ini": "coherence_inconclusive = fail",
    }
    bench.pytester.makeini(f"[pytest]\n{ini[how]}")
    run = bench.run("--coherence-junit=j.xml", *(["--coherence-inconclusive=warn"] if "flag" in how else []))
    assert run.ret == 0
    run.assert_outcomes(passed=2, warnings=1)
    result = found(bench, bench.ids["unsure"])
    assert (result.verdict, result.tolerated, result.outcome) == ("inconclusive", True, "tolerated")
    assert bench.results().policy.inconclusive == "warn"
    run.stdout.fnmatch_lines(
        [
            "coherence: *, inconclusive verdicts warn",
            f"*a.coherence.yaml:{line}: InconclusiveWarning: pirate.unsure.prompt-adapter is inconclusive: *",
            "1 pass, 1 tolerated in *",
        ]
    )
    assert f"InconclusiveWarning: {result.sentence}" in run.stdout.str()
    (skipped,) = ElementTree.parse(bench.path / "j.xml").iter("skipped")
    assert skipped.get("message") == result.headline


def test_a_warning_reaches_the_controller_of_xdist(bench):
    bench.suite("passes", "unsure")
    run = bench.run_apart("-n", "2", "--coherence-inconclusive=warn")
    assert run.ret == 0
    run.stdout.fnmatch_lines(["*InconclusiveWarning: pirate.unsure.prompt-adapter is inconclusive: *"])


def test_a_fail_is_never_tolerated(bench):
    bench.suite("fails")
    assert bench.run("--coherence-inconclusive=warn").ret == 1


def test_claims_beside_it_do_not_make_a_fail_tolerable(bench, borderline):
    """Padded with claims that nearly nothing would miss, it is red, and the summary says what that cost."""
    run = bench.run("--coherence-inconclusive=warn", "--coherence-markdown=s.md")
    assert run.ret == 1
    result = found(bench, borderline)
    assert (result.verdict, result.raw_verdict, result.outcome) == ("inconclusive", "fail", "inconclusive")
    criterion = result.evidence.criteria[0]
    line = f"{borderline}: specific cosine: {criterion.among_all}"
    run.stdout.fnmatch_lines(
        ["the adjustment for many claims cost: 1 criterion fails alone and not among all"]
    )
    assert line in " ".join(run.stdout.str().split())  # the terminal breaks it
    assert line in (bench.path / "s.md").read_text()


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("adjust=hom", "--coherence-adjust: unknown choice 'hom'; did you mean 'holm'?"),
        ("adjust=", "--coherence-adjust: unknown choice ''; expected one of holm, none"),
        ("inconclusive=pass", "--coherence-inconclusive: unknown choice 'pass'; expected one of fail, warn"),
    ],
)
def test_a_choice_that_is_none_is_a_usage_error(bench, option, sentence):
    bench.suite("passes")
    run = bench.run(f"--coherence-{option}")
    assert run.ret == 4
    run.stderr.fnmatch_lines([f"*{sentence}"])
    assert "Traceback" not in run.stderr.str()


def test_a_choice_in_the_configuration_is_named_with_its_file(bench):
    bench.suite("passes")
    bench.pytester.makeini("[pytest]\ncoherence_inconclusive = wran")
    run = bench.run()
    assert run.ret == 4
    run.stderr.fnmatch_lines(
        ["*tox.ini: coherence_inconclusive: unknown choice 'wran'; did you mean 'warn'?"]
    )
