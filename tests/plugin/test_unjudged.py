"""Whatever was selected is in every document: with its verdict, or as an error that says why not."""

from xml.etree import ElementTree

import pytest

FIRST, SECOND, THIRD = "passes", "fails", "unsure"
BY_NAME = """
import os
import pytest

def pytest_runtest_setup(item):
    if "fails" in item.name:
        {}
"""
EARLY = "could not be measured: the run ended before it was judged"


def stated(bench):
    return bench.suite(FIRST, SECOND, THIRD)


def verdicts(bench, *expected):
    assert bench.verdicts() == dict(zip(map(bench.ids.get, (FIRST, SECOND, THIRD)), expected, strict=True))


def test_what_x_leaves_is_an_error(bench):
    lines = stated(bench)
    assert bench.run("-x").ret == 1
    verdicts(bench, "pass", "fail", "error")
    assert bench.sentence(THIRD) == f"{bench.ids[THIRD]} {EARLY}: stopping after 1 failures"
    left = bench.results().assertions[2]
    assert (left.line, left.property) == (lines[THIRD], "collinearity")
    assert [*map(str, left.regimes)] == ["prompt", "adapter"]


@pytest.mark.parametrize(
    ("done", "why"),
    [
        ("pytest.skip('no GPU')", "Skipped: no GPU"),
        ("raise OSError('no scratch')", "OSError: no scratch"),
        ("pytest.exit('enough')", f"{EARLY.partition(': ')[2]}: enough"),
    ],
)
def test_what_a_hook_of_the_project_keeps_from_its_verdict_is_an_error(bench, done, why):
    stated(bench)
    bench.pytester.makeconftest(BY_NAME.format(done))
    bench.run("-k", "passes or fails")
    assert bench.verdicts() == {bench.ids[FIRST]: "pass", bench.ids[SECOND]: "error"}
    assert bench.sentence(SECOND) == f"{bench.ids[SECOND]} could not be measured: {why}"


def test_a_run_that_skips_an_assertion_is_no_success(bench):
    bench.suite(FIRST)
    bench.pytester.makeconftest("import pytest\ndef pytest_runtest_setup():\n    pytest.skip('no GPU')\n")
    assert bench.run().ret == 1


def test_what_an_error_of_pytest_itself_leaves_is_an_error(bench):
    stated(bench)
    bench.pytester.makeconftest(
        "def pytest_runtest_logstart(nodeid):\n    if 'fails' in nodeid:\n        raise TypeError('no')\n"
    )
    assert bench.run("--coherence-junit=j.xml").ret == 3
    verdicts(bench, "pass", "error", "error")
    assert bench.sentence(SECOND) == f"{bench.ids[SECOND]} {EARLY}: TypeError: no"
    cases = list(ElementTree.parse(bench.path / "j.xml").iter("testcase"))
    assert [len(case.findall("error")) for case in cases] == [0, 1, 1]


def test_a_run_that_ends_before_the_suites_are_read_is_an_error(bench):
    stated(bench)
    bench.pytester.makeconftest(
        "import pytest\ndef pytest_collection_modifyitems():\n    pytest.exit('enough', returncode=2)\n"
    )
    assert bench.run("a.coherence.yaml").ret == 2
    (found,) = bench.results().assertions
    assert (found.id, found.verdict, found.suite) == ("a.suite", "error", "a.coherence.yaml")
    assert found.sentence == f"a.suite {EARLY}: enough"


def test_what_was_deselected_is_no_error(bench):
    stated(bench)
    assert bench.run("-k", "passes").ret == 0
    assert bench.verdicts() == {bench.ids[FIRST]: "pass"}


def test_the_assertion_that_a_worker_crashed_at_is_an_error_in_every_document(bench):
    stated(bench)
    bench.edit("release:", "seed: 7\nrelease:")
    bench.pytester.makeconftest(BY_NAME.format("os._exit(9)"))
    written = ("--coherence-junit=j.xml", "--coherence-html=h.html", "--coherence-markdown=m.md")
    assert bench.run_apart("-n", "1", *written).ret == 1
    verdicts(bench, "pass", "error", "inconclusive")
    node_id = f"a.coherence.yaml::{bench.ids[SECOND]}"
    why = f"could not be measured: worker 'gw0' crashed while running '{node_id}'"
    assert bench.sentence(SECOND) == f"{bench.ids[SECOND]} {why}"
    assert bench.results().seed == 7
    (error,) = ElementTree.parse(bench.path / "j.xml").iter("error")
    assert error.get("message") == bench.sentence(SECOND)
    assert "crashed while running" in (bench.path / "h.html").read_text()
    assert "crashed while running" in (bench.path / "m.md").read_text()


def test_all_that_a_worker_leaves_when_it_crashes_before_the_first_verdict_is_an_error(bench):
    stated(bench)
    bench.edit("release:", "seed: 7\nrelease:")
    bench.pytester.makeconftest("import os\ndef pytest_runtest_setup():\n    os._exit(9)\n")
    run = bench.run_apart("-n", "1", "--max-worker-restart=0")
    assert run.ret != 0
    verdicts(bench, "error", "error", "error")
    assert "crashed while running" in bench.sentence(FIRST)
    assert bench.sentence(THIRD) == f"{bench.ids[THIRD]} {EARLY}"
    assert bench.results().seed == 7
