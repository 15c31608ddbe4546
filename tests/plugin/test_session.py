"""What a run says and leaves behind: header, verdicts, reports, exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

import coherence.plugin.session
from coherence import __version__
from coherence.engine.artefacts.memo import Stamp, remember
from coherence.store import store_root

LOADED = """
import sys
from pathlib import Path

def pytest_unconfigure():
    heavy = {"torch", "transformers", "peft"} & set(sys.modules)
    Path("loaded").write_text(" ".join(sorted(heavy)))
"""


def outcome(results):
    """What must be the same in every run: all but the clock."""
    return [result.model_dump(exclude={"seconds"}) for result in results.assertions]


def test_the_header_names_the_store_and_what_is_replaced(bench, tiny_adapter):
    bench.suite("passes")
    newer = tiny_adapter("newer", seed=9)
    run = bench.run(f"--coherence-adapter=pirate={newer}", "--coherence-seed=3", "--collect-only")
    run.stdout.fnmatch_lines(
        [
            f"coherence: {__version__}, store {bench.store}, with adapter pirate={newer}, seed 3",
            "release: */tiny0 in float32, adapters pirate, counsel, oncall, "
            "vectors pirate, counsel, oncall; seed 3",
        ]
    )


def test_each_release_has_a_line_of_its_own(bench, tmp_path):
    bench.suite("passes")
    bench.suite("passes", name="b")
    bench.suite("passes", name="c")
    bench.edit("release:", "seed: 7\nrelease:", name="c")
    lines = [line for line in bench.run("--collect-only").outlines if line.startswith("release: ")]
    assert [line.rpartition("; ")[2] for line in lines] == ["seed 0", "seed 7"]


def test_without_an_option_the_store_is_in_the_cache(bench):
    bench.suite("passes")
    run = bench.pytester.runpytest("--coherence", "--collect-only")
    run.stdout.fnmatch_lines([f"coherence: {__version__}, store {store_root()}"])


def test_the_summary_closes_the_run(bench):
    bench.suite("passes", "fails", "unsure", "fails as expected")
    run = bench.run()
    run.stdout.re_match_lines(
        [
            r"=+ coherence =+",
            r"assertion .* verdict *",
            r"release *",
            r"  passes\.dose-zero .* pass *",
            r"pirate *",
            r"  fails\.prompt-adapter .* >= 1 .* 8 .* fail *",
            r"  unsure\.prompt-adapter .* inconclusive *",
            r"  known\.adapter-adapter\+steering .* expected fail *",
            r"1 pass, 1 fail, 1 inconclusive, 1 expected fail in \d+\.\d s",
            r"results: coherence-results\.json",
        ],
        consecutive=False,
    )


def test_the_results_are_put_together_once(bench, monkeypatch):
    made, real = [], coherence.plugin.session.results_of
    monkeypatch.setattr(
        coherence.plugin.session, "results_of", lambda *given: made.append(real(*given)) or made[-1]
    )
    bench.suite("passes")
    bench.run("--coherence-junit=j.xml")
    assert [one.assertions for one in made] == [bench.results().assertions]


def test_results_and_junit_go_where_they_are_told(bench):
    lines = bench.suite("passes", "fails")
    assert bench.run("--coherence-results=out/r.json", "--coherence-junit=out/j.xml").ret == 1
    assert not (bench.path / "coherence-results.json").exists()
    found = bench.results("out/r.json").assertions
    assert [(result.id, result.suite, result.line) for result in found] == [
        (bench.ids[name], "a.coherence.yaml", line) for name, line in lines.items()
    ]
    assert all(set(result.release) >= {"base"} for result in found)
    assert any(name == "adapter pirate" for name in found[1].release)
    root = ElementTree.parse(bench.path / "out/j.xml").getroot()
    assert [suite.get("name") for suite in root.iter("testsuite")] == ["release", "pirate"]
    (failure,) = root.iter("failure")
    assert failure.get("message") == found[1].headline
    assert {case.get("line") for case in root.iter("testcase")} == {str(line) for line in lines.values()}


def test_strict_junit_leaves_out_what_jenkins_refuses(bench):
    bench.suite("passes")
    bench.run("--coherence-junit=j.xml", "--coherence-junit-strict")
    (case,) = ElementTree.parse(bench.path / "j.xml").iter("testcase")
    assert case.get("name") == bench.ids["passes"]
    assert case.get("file") is None


def test_no_junit_is_written_unasked(bench):
    bench.suite("passes")
    bench.run()
    assert {path.suffix for path in bench.path.iterdir()} <= {".json", ".yaml", ""}


@pytest.mark.parametrize(("assertion", "code"), [("passes", 4), ("fails", 1)])
@pytest.mark.parametrize("option", ["--coherence-results", "--coherence-junit"])
@pytest.mark.parametrize("path", ["file/report", "."])
def test_a_report_that_cannot_be_written_is_a_sentence_and_no_success(bench, option, path, assertion, code):
    bench.suite(assertion)
    (bench.path / "file").touch()
    run = bench.run(f"{option}={path}")
    assert run.ret == code
    run.stdout.re_match_lines([rf"{option} {path} cannot be written: .*"])
    assert "INTERNALERROR" not in run.stdout.str() + run.stderr.str()
    assert "1 pass" in run.stdout.str() or "1 fail" in run.stdout.str()


@pytest.mark.parametrize("arguments", [["-k", "nothing"], ["empty"], ["--setup-only"]])
def test_a_run_that_judges_nothing_is_no_success(bench, arguments):
    bench.suite("passes")
    (bench.path / "empty").mkdir()
    run = bench.run(*arguments)
    assert run.ret == 5
    run.stdout.fnmatch_lines(["no assertion was judged: the gate has not passed*"])
    assert not (bench.path / "coherence-results.json").exists()


def test_where_there_is_no_suite_a_first_one_is_spoken_of(bench):
    run = bench.run(".")
    assert run.ret == 5
    run.stdout.fnmatch_lines(
        [
            "no assertion was judged: the gate has not passed; there is no ?.coherence.yaml file, and "
            "`coherence init` writes a first one"
        ]
    )


def test_passing_tests_of_another_kind_do_not_stand_for_the_gate(bench):
    bench.pytester.makepyfile("def test_something_else():\n    pass\n")
    run = bench.run()
    run.assert_outcomes(passed=1)
    assert run.ret == 5


def test_an_override_reaches_the_suites_that_have_the_name(bench, tiny_adapter, tiny_vector):
    bench.suite("adapts", "steers")
    bench.suite("adapts", "steers", name="b", without="oncall")
    adapter, vector = tiny_adapter("newer", seed=9), tiny_vector("newer", seed=9)
    run = bench.run(f"--coherence-adapter=oncall={adapter}", f"--coherence-vector=oncall={vector}")
    assert run.ret == 0
    found = {
        (result.suite[0], result.family, result.id): result.release for result in bench.results().assertions
    }
    with_it, without = ([found[key] for key in sorted(found) if key[0] == suite] for suite in "ab")
    assert str(adapter) in with_it[0]["adapter oncall"]
    assert str(vector) in with_it[1]["vector oncall"]
    assert not any("oncall" in name for release in without for name in release)


def test_a_base_on_the_command_line_takes_the_place_of_every_suites(bench, tiny, tmp_path):
    bench.suite("passes")
    bench.edit(f"base: {tiny}", "base: ./nowhere")
    (tmp_path / "other").symlink_to(tiny)
    assert bench.run(f"--coherence-base={tmp_path / 'other'}").ret == 0
    (result,) = bench.results().assertions
    assert result.release["base"].startswith(str(tmp_path / "other"))


def test_a_seed_on_the_command_line_moves_what_is_drawn_and_nothing_else(bench):
    bench.suite("fails")
    bench.run()
    (before,) = bench.results().assertions
    bench.run("--coherence-seed=5")
    (after,) = bench.results().assertions
    assert bench.results().seed == 5
    *measured, null = before.evidence.criteria
    *measured_again, other_null = after.evidence.criteria
    assert measured == measured_again
    assert null.estimate.name == other_null.estimate.name == "above random null"
    assert null.estimate != other_null.estimate


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("adapter=pirat=x", "no release has the adapter 'pirat'; did you mean 'pirate'?"),
        ("vector=newer=x", "no release has the vector 'newer'; expected one of counsel, oncall, pirate"),
    ],
)
def test_an_override_that_no_suite_has_a_use_for_is_a_usage_error(bench, option, sentence):
    bench.suite("adapts", "steers")
    bench.suite("adapts", name="b", without="oncall")
    run = bench.run(f"--coherence-{option}")
    assert run.ret == 4
    assert run.errlines == [f"ERROR: the command line: {sentence}", ""]
    assert not (bench.path / "coherence-results.json").exists()


def test_workers_hand_a_usage_error_on(bench):
    bench.suite("adapts")
    run = bench.run_apart("-n", "2", "--coherence-adapter=pirat=x")
    assert run.ret == 4
    run.stderr.fnmatch_lines(["ERROR: the command line: no release has the adapter 'pirat'; did you mean*"])
    assert "Traceback" not in run.stderr.str()
    assert "INTERNALERROR" not in run.stdout.str()


def test_an_override_may_be_meant_for_a_suite_that_cannot_be_read(bench):
    bench.suite("passes")
    bench.suite("passes", name="b")
    bench.edit("probes:", "prbes:", name="b")
    assert bench.run("--coherence-adapter=newer=x").ret == 1
    assert bench.verdicts() == {bench.ids["passes"]: "pass", "b.suite": "error"}


def test_an_override_may_be_meant_for_a_suite_that_lf_passes_over(bench, tiny_adapter):
    bench.suite("fails", without="other")
    bench.suite("passes", name="b")
    bench.edit("release:", "release: # the only one with an adapter of the name 'other'", name="b")
    bench.edit("  adapters:", "  adapters:\n    other: ./other", name="b")
    assert bench.run().ret == 1
    assert bench.run(f"--coherence-adapter=other={tiny_adapter('other')}", "--lf").ret == 1
    assert bench.verdicts() == {bench.ids["fails"]: "fail"}


def test_a_broken_suite_is_an_error_in_every_report_and_hides_no_other(bench):
    bench.suite("passes")
    bench.suite("passes", name="b")
    line = bench.edit("probes:", "prbes:", name="b")
    run = bench.run("--coherence-junit=j.xml", "--junitxml=pytest.xml")
    assert run.ret == 1
    run.assert_outcomes(passed=1, errors=1)
    sentence = f"b.coherence.yaml:{line}: unknown key 'prbes'; did you mean 'probes'?"
    head = run.outlines.index(next(said for said in run.outlines if "ERROR collecting b.coherence" in said))
    assert run.outlines[head + 1] == sentence
    assert bench.verdicts() == {bench.ids["passes"]: "pass", "b.suite": "error"}
    assert bench.sentence("b.suite") == f"b.suite could not be measured: {sentence}"
    (case,) = (case for case in ElementTree.parse(bench.path / "j.xml").iter("testcase") if len(case) > 1)
    assert (case.get("name"), case.get("file"), case.get("line")) == (
        "b.suite",
        "b.coherence.yaml",
        str(line),
    )
    assert case.find("error").get("message").endswith(sentence)
    (error,) = ElementTree.parse(bench.path / "pytest.xml").iter("error")
    assert error.text == sentence


def test_suites_that_break_for_one_reason_are_two_errors(bench):
    (bench.path / "cast.yaml").write_text("coherence: 2\n")
    for folder in ("one", "two"):
        (bench.path / folder).mkdir()
        (bench.path / folder / "a.coherence.yaml").write_text("coherence: 1\ninclude: [../cast.yaml]\n")
    bench.run().assert_outcomes(errors=2)
    assert [result.suite for result in bench.results().assertions] == ["cast.yaml", "cast.yaml"]


def test_workers_judge_as_one_process_does(bench):
    bench.suite("passes", "fails", "speaks", "fails as expected")
    bench.suite("adapts", "unsure", name="b")
    bench.suite("passes", name="broken")
    bench.edit("probes:", "prbes:", name="broken")
    alone = bench.run()
    before = outcome(bench.results())
    run = bench.run_apart("-n", "2", "--coherence-junit=j.xml", "--junitxml=pytest.xml")
    assert run.ret == alone.ret == 1
    run.assert_outcomes(passed=3, failed=3, errors=1)
    assert outcome(bench.results()) == before
    assert len(list(ElementTree.parse(bench.path / "j.xml").iter("testcase"))) == 7
    (said,) = (
        {entry.get("name"): entry.get("value") for entry in case.iter("property")}
        for case in ElementTree.parse(bench.path / "pytest.xml").iter("testcase")
        if case.get("name") == bench.ids["fails"]
    )
    assert said["coherence.verdict"] == "fail"
    assert said["coherence.specific cosine.expected"] == ">= 1"


def test_workers_find_nothing_to_judge_either(bench):
    run = bench.run_apart("-n", "1")
    assert run.ret == 5
    run.stdout.fnmatch_lines(["no assertion was judged: the gate has not passed"])


def test_a_second_run_needs_no_model_and_says_the_same(bench, tmp_path):
    bench.suite("passes", "fails", "speaks", "steers")
    bench.pytester.makeconftest(LOADED)
    cold = bench.run(store=tmp_path / "store")
    assert "torch" in (bench.path / "loaded").read_text()
    before = outcome(bench.results())
    warm = bench.run_fresh(store=tmp_path / "store")
    assert (bench.path / "loaded").read_text() == ""
    assert outcome(bench.results()) == before
    assert warm.ret == cold.ret == 1


def test_what_looks_as_it_did_is_read_when_it_is_asked_for(bench, cache, tmp_path, tiny_adapter):
    """The memo of digests lies, as one does whose file changed below the file system."""
    bench.suite("adapts")
    bench.pytester.makepyfile("""
def test_pirate(coherence):
    law = {"property": "commutativity", "laws": ["scale-zero"], "examples": 1}
    coherence("a.coherence.yaml").require(law)
""")
    bench.run(".")
    honest = [result.release for result in bench.results().assertions]
    weights = Path(honest[0]["adapter pirate"].split()[0]) / "adapter_model.safetensors"
    remember(weights, Stamp.of(weights.stat()), "0" * 64)
    bench.run(".", store=tmp_path / "store")
    assert [result.release for result in bench.results().assertions] != honest
    bench.run(".", "--coherence-rehash", store=tmp_path / "store")
    assert [result.release for result in bench.results().assertions] == honest


def test_another_threshold_needs_no_model(bench):
    bench.suite("fails")
    bench.run()
    bench.edit("min_cosine: 1,", "min_cosine: -1,")
    assert "loading the model" not in bench.run().stdout.str()


def test_a_killed_run_leaves_nothing_half_done(bench, tmp_path):
    # The laws come last and take seconds: time enough to kill the run between two measurements.
    bench.suite("speaks", "{property: commutativity, examples: 40}")
    store = tmp_path / "store"
    given = ["--coherence", f"--coherence-store={store}", "--coherence-junit=j.xml", "-p", "no:cacheprovider"]
    killed = subprocess.Popen(
        [sys.executable, "-m", "pytest", *given], cwd=bench.path, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not list(store.rglob("*.safetensors")):
            assert killed.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert {path.name for path in bench.path.iterdir()} == {"a.coherence.yaml"}
    kept = {path: path.stat().st_mtime_ns for path in store.rglob("*.safetensors")}

    bench.suite("speaks", "passes")
    assert bench.run(store=store).ret == 1
    assert bench.verdicts()[bench.ids["passes"]] == "pass"
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    after = outcome(bench.results())
    bench.run()
    assert outcome(bench.results()) == after
