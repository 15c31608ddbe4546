"""Suites and assertions as pytest collects, selects, judges and reports them."""

import re
from xml.etree import ElementTree

import pytest

LOADED = """
import sys
from pathlib import Path

def pytest_unconfigure():
    heavy = {"torch", "transformers", "peft"} & set(sys.modules)
    Path("loaded").write_text(" ".join(sorted(heavy)))
"""


def test_collect_only_lists_every_assertion_and_loads_no_model(bench):
    bench.suite("passes", "fails", "speaks")
    bench.suite("adapts", name="more/b")
    bench.pytester.makeconftest(LOADED)
    run = bench.run_fresh("--collect-only", "-q")
    assert run.ret == 0
    listed = [line for line in run.outlines if "::" in line]
    assert listed == [
        *(f"a.coherence.yaml::{bench.ids[name]}" for name in ("passes", "fails", "speaks")),
        f"more/b.coherence.yaml::{bench.ids['adapts']}",
    ]
    assert (bench.path / "loaded").read_text() == ""
    assert not (bench.path / "coherence-results.json").exists()


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (["-k", "dose"], {"passes"}),
        (["-k", "pirate and not speaks"], {"fails"}),
        (["-m", "collinearity"], {"fails"}),
        (["-m", "commutativity or markers"], {"passes", "speaks"}),
        (["-m", "coherence"], {"passes", "fails", "speaks"}),
        (["a.coherence.yaml::pirate.fails.prompt-adapter"], {"fails"}),
    ],
)
def test_assertions_are_selected_as_tests_are(bench, selection, chosen):
    bench.suite("passes", "fails", "speaks")
    bench.run("--strict-markers", *selection)
    assert set(bench.verdicts()) == {bench.ids[name] for name in chosen}


@pytest.mark.parametrize("folder", ["", "deeper"])
def test_the_ids_that_v_prints_can_be_pasted(bench, folder):
    bench.suite("passes", "fails")
    bench.suite("adapts", name="more/b")
    bench.pytester.makeini("[pytest]")
    (bench.path / "deeper").mkdir()
    with pytest.MonkeyPatch.context() as moved:
        moved.chdir(bench.path / folder)
        run = bench.run("-v", str(bench.path))
        printed = [line.split()[0] for line in run.outlines if line.endswith("%]")]
        assert len(printed) == 3
        bench.run(*printed, "--coherence-results=again.json")
        assert set(bench.verdicts(f"{folder}/again.json".lstrip("/"))) == {
            bench.ids[name] for name in ("passes", "fails", "adapts")
        }


def test_only_what_is_selected_is_measured(bench, tmp_path):
    bench.suite("fails", "speaks", "passes")
    run = bench.run("-k", "dose", store=tmp_path / "store")
    assert "laws: 1 done" in run.stdout.str()
    assert "replies" not in run.stdout.str()
    assert "residuals" not in run.stdout.str()


def test_lf_runs_what_failed_and_sw_goes_on_from_there(bench):
    bench.suite("passes", "fails", "unsure")
    bench.run()
    assert bench.run("--lf").ret == 1
    assert bench.verdicts() == {bench.ids["fails"]: "fail", bench.ids["unsure"]: "inconclusive"}


def test_a_failure_begins_with_what_was_seen_and_shows_no_internals(bench):
    lines = bench.suite("fails")
    run = bench.run()
    sentence = bench.sentence("fails")
    assert re.fullmatch(
        r"pirate\.fails\.prompt-adapter fails: specific cosine -?\d\.\d+ "
        r"\[-?\d\.\d+, -?\d\.\d+\], expected >= 1 \(n = 8; p = \S+, among \d criteria \(Holm: \S+\)\)",
        sentence,
    )
    text = run.stdout.str()
    (head,) = (number for number, line in enumerate(run.outlines) if line.startswith("____"))
    (result,) = bench.results().assertions
    assert run.outlines[head + 1] == result.headline
    assert result.headline.startswith(
        "pirate.fails.prompt-adapter fails: along the way that prompt moves the model, adapter "
    )
    assert run.outlines[head + 2] == "look closer: coherence explain pirate.fails.prompt-adapter"
    assert run.outlines[head + 3] == f"in numbers: {sentence.partition(' fails: ')[2]}"
    assert run.outlines[head + 4] == f"stated in a.coherence.yaml:{lines['fails']}"
    assert "Traceback" not in text
    assert ".py:" not in text
    assert f"FAILED a.coherence.yaml::pirate.fails.prompt-adapter - {result.seen}" in run.outlines


def test_replies_stand_side_by_side_in_a_failure(bench):
    bench.suite("speaks")
    run = bench.run()
    run.stdout.re_match_lines([r"worst probes.*", r"replies to .*", r"prompt +\| adapter *"])


@pytest.mark.parametrize(
    ("assertion", "code", "verdict", "shown"),
    [
        ("passes", 0, "pass", "1 pass"),
        ("fails", 1, "fail", "1 fail"),
        ("unsure", 1, "inconclusive", "1 inconclusive"),
        ("fails as expected", 0, "fail", "1 expected fail"),
        ("passes unexpectedly", 1, "pass", "1 unexpected pass"),
    ],
)
def test_the_verdict_decides_unless_another_is_expected(bench, assertion, code, verdict, shown):
    bench.suite(assertion)
    run = bench.run()
    assert run.ret == code
    assert bench.verdicts() == {bench.ids[assertion]: verdict}
    assert shown in run.stdout.str()


def test_an_unexpected_pass_says_so_first(bench):
    bench.suite("passes unexpectedly")
    bench.run()
    assert bench.sentence("passes unexpectedly").startswith(
        "release.mended.dose-zero passes although expect: fail says that it should not; "
    )


def test_an_error_is_never_expected(bench):
    bench.suite("fails as expected")
    bench.edit("  adapters:\n    pirate: ", "  adapters:\n    pirate: /nowhere")
    bench.run().assert_outcomes(errors=1)
    assert bench.verdicts() == {bench.ids["fails as expected"]: "error"}


def cases(path):
    return {case.get("name"): case for case in ElementTree.parse(path).iter("testcase")}


def numbers(case):
    return {entry.get("name"): entry.get("value") for entry in case.iter("property")}


def test_the_junit_report_of_pytest_carries_the_numbers(bench):
    lines = bench.suite("passes", "fails", "unsure")
    bench.run("--junitxml", "pytest.xml", "-o", "junit_family=xunit1")
    found = cases(bench.path / "pytest.xml")
    assert list(found) == [bench.ids[name] for name in lines]
    for name, line in lines.items():
        case = found[bench.ids[name]]
        assert (case.get("file"), case.get("line")) == ("a.coherence.yaml", str(line - 1))
    (result,) = (one for one in bench.results().assertions if one.id == bench.ids["fails"])
    estimate = result.evidence.criteria[0].estimate
    said = numbers(found[bench.ids["fails"]])
    assert said["coherence.verdict"] == "fail"
    value, low, high = map(float, re.findall(r"-?[\d.e-]+", said["coherence.specific cosine"]))
    assert (value, low, high) == pytest.approx((estimate.value, estimate.low, estimate.high), rel=1e-4)
    assert said["coherence.specific cosine.expected"] == ">= 1"
    assert said["coherence.raw_verdict"] == "fail"
    assert float(said["coherence.specific cosine.p"]) <= float(said["coherence.specific cosine.holm"]) <= 0.05
    assert numbers(found[bench.ids["passes"]])["coherence.verdict"] == "pass"
    failure = found[bench.ids["fails"]].find("failure")
    assert failure.text.startswith(result.headline)
    assert failure.get("message") == result.seen


def test_fixtures_of_a_conftest_reach_the_assertions(bench):
    bench.suite("passes", "fails")
    bench.pytester.makeconftest(
        "import pytest\n"
        "@pytest.fixture(autouse=True)\n"
        "def _only_laws(request):\n"
        "    if 'release' not in request.node.name:\n"
        "        pytest.skip('not here')\n"
    )
    run = bench.run()
    run.assert_outcomes(passed=1, skipped=1)
    # What was not judged is no success.
    assert bench.verdicts() == {bench.ids["passes"]: "pass", bench.ids["fails"]: "error"}


def test_a_summary_in_ci_ends_in_what_was_seen(bench, monkeypatch):
    monkeypatch.setenv("CI", "true")
    bench.suite("fails")
    run = bench.run("--junit-xml", "pytest.xml")
    (line,) = (line for line in run.outlines if line.startswith("FAILED "))
    (result,) = bench.results().assertions
    assert line.endswith(f" - {result.seen}")
    assert run.outlines[-2] == line
    (failure,) = ElementTree.parse(bench.path / "pytest.xml").iter("failure")
    assert failure.get("message") == result.seen


@pytest.mark.parametrize("coloured", ["no", "yes"])
def test_what_was_seen_survives_a_narrow_terminal(bench, monkeypatch, coloured):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    bench.suite("fails", "adapts")
    bench.edit("  adapters:\n    pirate: ", "  adapters:\n    pirate: /nowhere")
    bench.pytester.makepyfile(test_own="def test_own():\n    assert False, 'x' * 200\n")
    run = bench.run(f"--color={coloured}")
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in run.outlines]
    said = {result.id: result.seen or result.sentence for result in bench.results().assertions}
    for name, seen in said.items():
        (line,) = (line for line in lines if f"::{name} - " in line)
        assert line.endswith(f" - {seen.replace('[', '(').replace(']', ')')}")
        assert len(line) > 80
    # Of tests that are not assertions, pytest makes what it always does.
    assert any(line.startswith("FAILED test_own.py::test_own - ") and line.endswith("...") for line in lines)


def test_whoever_asks_pytest_for_short_lines_has_them(bench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    bench.suite("fails")
    run = bench.run("--force-short-summary")
    (line,) = (line for line in run.outlines if line.startswith("FAILED "))
    assert len(line) <= 80


def test_every_family_has_a_mark():
    from coherence.plugin import FAMILIES
    from coherence.properties.installed import BUILT_IN

    assert {one.family for one in BUILT_IN} == set(FAMILIES)


def test_a_broken_law_shows_the_command_that_replays_it(bench):
    bench.suite(
        "{property: commutativity, id: strict, laws: [vector-inverse], tolerance: 1.0e-30, examples: 1}"
    )
    run = bench.run("--coherence-junit", "junit.xml")
    assert run.ret == 1
    (command,) = (line for line in run.outlines if line.startswith("look closer: coherence replay "))
    assert command.startswith(
        'look closer: coherence replay a.coherence.yaml release.strict.vector-inverse \'{"probe": '
    )
    assert bench.results().assertions[0].replay == command.removeprefix("look closer: ")
    (failure,) = ElementTree.parse(bench.path / "junit.xml").iter("failure")
    assert command in failure.text.splitlines()
