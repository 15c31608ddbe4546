"""The fixture `coherence`: suites in test files of one's own, and their verdicts in the reports."""

from xml.etree import ElementTree

import pytest

LAW = '{"property": "commutativity", "laws": ["scale-zero"], "examples": 1}'
FAILS = (
    '{"property": "collinearity", "between": ["prompt", "adapter"], "personas": ["pirate"], '
    '"sites": "resid_post.0", "min_cosine": 1, "min_ceiling": 0}'
)
PASSING = f"""
def test_pirate(coherence):
    coherence("a.coherence.yaml").require({LAW})
"""
FAILING = f"""
def test_pirate(coherence):
    suite = coherence("a.coherence.yaml")
    suite.require({FAILS})
"""


@pytest.fixture
def write(bench):
    """Write test files beside a suite that states one assertion."""
    bench.suite("steers")

    def write(*texts):
        bench.pytester.makepyfile(**{f"test_{number}": text for number, text in enumerate(texts)})

    return write


def test_without_the_gate_a_test_is_skipped(bench, write):
    write(PASSING)
    run = bench.pytester.runpytest("-rs")
    run.assert_outcomes(skipped=1)
    assert "it measures a model, which takes --coherence" in run.stdout.str()
    assert not (bench.path / "coherence-results.json").exists()


def test_the_fixture_is_explained(bench):
    run = bench.pytester.runpytest("--fixtures")
    assert 'Open a suite: `coherence("suites/a.coherence.yaml")`' in run.stdout.str()


def test_what_holds_is_in_the_reports(bench, write):
    write(PASSING)
    run = bench.run("test_0.py", "--coherence-junit=j.xml")
    assert run.ret == 0
    run.assert_outcomes(passed=1)
    (result,) = bench.results().assertions
    assert (result.id, result.suite, result.line) == ("release.commutativity.scale-zero", "test_0.py", 2)
    assert result.green
    (case,) = ElementTree.parse(bench.path / "j.xml").iter("testcase")
    assert (case.get("file"), case.get("line")) == ("test_0.py", "2")


def test_what_does_not_hold_fails_the_test_with_its_evidence(bench, write):
    write(FAILING)
    run = bench.run("test_0.py")
    assert run.ret == 1
    run.assert_outcomes(failed=1)
    (result,) = bench.results().assertions
    said = run.stdout.str()
    assert f"AssertionError: {result.headline[:60]}" in said
    assert "over blocks passed" in said
    assert "api/opened.py" not in said  # the traceback ends in the test


def test_what_is_only_judged_is_not_in_the_reports(bench, write):
    write(f"""
def test_pirate(coherence):
    (result,) = coherence("a.coherence.yaml").judge({FAILS})
    assert result.verdict == "fail"
""")
    run = bench.run(".")
    run.assert_outcomes(passed=2)
    assert list(bench.verdicts()) == [bench.ids["steers"]]


def test_no_success_hides_a_failure_of_the_same_id(bench, write):
    known = {"fail": "min_cosine"}
    keys = FAILS.replace('["prompt", "adapter"]', '["adapter", "adapter+steering"]')[:-1]
    keys = keys.replace("resid_post.0", "resid_post.1..3")
    stated = [f'{keys}, "expect": {expect!r}}}' for expect in (known, "pass", known)]
    write(
        "".join(
            f"""
def test_{number}(coherence):
    coherence("a.coherence.yaml").require({keys})
"""
            for number, keys in enumerate(stated)
        )
    )
    run = bench.run("test_0.py")
    run.assert_outcomes(passed=2, failed=1)
    (result,) = bench.results().assertions
    assert not result.green


def test_what_a_fixture_requires_is_in_the_reports(bench, write):
    write(f"""
import pytest

@pytest.fixture(scope="module")
def suite(coherence):
    opened = coherence("a.coherence.yaml")
    opened.require({LAW})
    return opened

def test_replies(suite, coherence):
    assert coherence("a.coherence.yaml") is suite
    assert len(suite.replies("pirate", "prompt")) == 8
""")
    assert bench.run("test_0.py").ret == 0
    assert list(bench.verdicts()) == ["release.commutativity.scale-zero"]


def test_artefacts_of_the_command_line_are_under_test(bench, write, tiny_adapter):
    write(PASSING)
    newer = tiny_adapter("newer", seed=9)
    assert bench.run("test_0.py", f"--coherence-adapter=pirate={newer}").ret == 0
    (result,) = bench.results().assertions
    assert str(newer) in result.release["adapter pirate"]


def test_a_name_that_no_release_has_is_refused(bench, write):
    write(PASSING)
    run = bench.run("test_0.py", "--coherence-adapter=pirat=x")
    assert run.ret == 1
    run.stdout.fnmatch_lines(["*no release has the adapter 'pirat'; did you mean 'pirate'?"])


def test_the_policy_is_that_of_the_run(bench, write):
    write(FAILING.replace('"min_ceiling": 0', '"min_ceiling": 1'))
    assert bench.run("test_0.py").ret == 1
    assert bench.run("test_0.py", "--coherence-inconclusive=warn").ret == 0
    (result,) = bench.results().assertions
    assert result.tolerated


def test_workers_hand_on_what_was_required(bench, write):
    write(PASSING, FAILING)
    run = bench.run_apart("-n", "2", ".")
    run.assert_outcomes(passed=2, failed=1)
    assert sorted((result.suite, result.verdict.value) for result in bench.results().assertions) == [
        ("a.coherence.yaml", "pass"),
        ("test_0.py", "pass"),
        ("test_1.py", "fail"),
    ]


def test_a_path_is_relative_to_the_root_directory(bench, write, monkeypatch):
    write(PASSING)
    (bench.path / "below").mkdir()
    monkeypatch.chdir(bench.path / "below")
    bench.run("../test_0.py", f"--rootdir={bench.path}").assert_outcomes(passed=1)


def test_models_of_two_suites_are_not_kept_at_once(bench, write):
    bench.suite("steers", name="b")
    bench.edit("probes:", "probes:\n  - Is this another?", name="b")
    write("""
import gc
from coherence.engine.executors.measurer import Measurer

def models():
    gc.collect()
    return sum(isinstance(one, Measurer) for one in gc.get_objects())

def test_models(coherence):
    before = models()
    for name in ("a", "b", "a"):
        coherence(f"{name}.coherence.yaml").direction("pirate", "prompt", "resid_post.1")
        assert models() <= before + 1
""")
    bench.run("test_0.py", "-p", "no:cacheprovider", store=bench.path / "fresh").assert_outcomes(passed=1)
