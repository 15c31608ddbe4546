"""SIGTERM and SIGINT end a run with its reports, wherever it is."""

import os
import signal
import subprocess
import sys
from xml.etree import ElementTree

import pytest

ENDED = "could not be measured: the run ended before it was judged: {}"
AT = """
import os
import signal

def {hook}
        os.kill(os.getpid(), signal.{name})
"""
MOMENTS = {
    "beginning": "pytest_sessionstart(session):\n    if True:",
    "reading": "pytest_collectreport(report):\n    if 'a.coherence.yaml' in report.nodeid:",
    "collecting": "pytest_collection_modifyitems():\n    if True:",
    "judging": "pytest_runtest_setup(item):\n    if 'fails' in item.name:",
}

# Where a signal comes while an instruction runs that is of no line, as some of a `with` are.
BETWEEN_LINES = """
import os
import signal

code = compile("os.kill(os.getpid(), signal.SIGTERM)", __file__, "exec")
# An entry each: one instruction or cache of one, and no line.
code = code.replace(co_linetable=bytes([0x80 | 15 << 3]) * (len(code.co_code) // 2))

def pytest_runtest_setup(item):
    if "fails" in item.name:
        exec(code)
"""

# Of two workers one waits at its first assertion; the run is ended once the other has judged its own.
SEVERAL = """
import os
import signal
import time

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it

def pytest_runtest_setup(item):
    if "fails" in item.name:
        time.sleep(100)

def pytest_runtest_logreport(report):
    if hasattr(report, "node") and "passes" in report.nodeid and report.when == "teardown":
        os.kill({to}, signal.{name})
"""


def ended(bench, *arguments):
    given = ("--coherence", f"--coherence-store={bench.store}", "--coherence-junit=j.xml", *arguments)
    return bench.pytester.runpytest_inprocess(*given, no_reraise_ctrlc=True)


@pytest.fixture
def signalled(bench):
    def conftest(moment, name):
        bench.pytester.makeconftest(AT.format(hook=MOMENTS[moment], name=name))

    # A worker of pytest-xdist has other uses for them.
    usual = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, use) for number, use in usual.items()}
    yield conftest
    found = {number: signal.signal(number, use) for number, use in before.items()}
    assert found == usual


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_what_was_judged_is_written_and_the_rest_is_an_error(bench, signalled, name):
    bench.suite("passes", "fails", "unsure")
    signalled("judging", name)
    assert ended(bench).ret == pytest.ExitCode.INTERRUPTED
    assert bench.verdicts() == {
        bench.ids["passes"]: "pass",
        bench.ids["fails"]: "error",
        bench.ids["unsure"]: "error",
    }
    assert bench.sentence("unsure") == f"{bench.ids['unsure']} {ENDED.format(name)}"
    assert (bench.path / "j.xml").exists()


def test_a_signal_between_two_lines_ends_the_run_as_any_other(bench, signalled):
    bench.suite("passes", "fails")
    bench.pytester.makeconftest(BETWEEN_LINES)
    assert ended(bench).ret == pytest.ExitCode.INTERRUPTED
    assert bench.verdicts() == {bench.ids["passes"]: "pass", bench.ids["fails"]: "error"}


@pytest.mark.parametrize("moment", ["beginning", "collecting"])
def test_a_signal_before_the_suites_are_read_is_an_error_of_the_run(bench, signalled, moment):
    bench.suite("passes")
    signalled(moment, "SIGTERM")
    assert ended(bench, "a.coherence.yaml").ret == pytest.ExitCode.INTERRUPTED
    assert bench.verdicts() == {"a.suite": "error"}
    assert bench.sentence("a.suite") == f"a.suite {ENDED.format('SIGTERM')}"


def test_a_signal_while_suites_are_read_is_not_taken_for_a_mistake_of_the_command_line(bench, signalled):
    bench.suite("passes", without="pirate")
    bench.suite("passes", name="b")
    signalled("reading", "SIGTERM")
    replaced = bench.path / "base"
    given = (f"--coherence-adapter=pirate={replaced}", "a.coherence.yaml", "b.coherence.yaml")
    assert ended(bench, *given).ret == pytest.ExitCode.INTERRUPTED
    assert bench.verdicts() == {"a.suite": "error"}


def test_a_signal_while_all_is_measured_leaves_an_error_for_each(bench, signalled, monkeypatch):
    def measure(self):
        os.kill(os.getpid(), signal.SIGTERM)

    bench.suite("passes", "fails")
    monkeypatch.setattr("coherence.gate.Gate.measure", measure)
    assert ended(bench).ret == pytest.ExitCode.INTERRUPTED
    assert bench.verdicts() == {bench.ids["passes"]: "error", bench.ids["fails"]: "error"}
    assert bench.sentence("fails") == f"{bench.ids['fails']} {ENDED.format('SIGTERM')}"


def test_a_signal_while_reports_are_written_waits_for_them(bench, signalled, monkeypatch):
    real = os.replace

    def replace(self, target):
        os.kill(os.getpid(), signal.SIGTERM)
        real(self, target)
        return target

    bench.suite("passes")
    bench.run()
    monkeypatch.setattr("pathlib.Path.replace", replace)
    assert ended(bench).ret == 0
    assert bench.verdicts() == {bench.ids["passes"]: "pass"}
    assert (bench.path / "j.xml").exists()


def test_a_second_signal_does_not_keep_the_reports_from_being_written(bench, signalled):
    bench.suite("passes")
    signalled("judging", "SIGINT")
    with (bench.path / "conftest.py").open("a") as file:
        file.write("\ndef pytest_keyboard_interrupt():\n    os.kill(os.getpid(), signal.SIGTERM)\n")
    bench.suite("passes", "fails")
    assert ended(bench).ret == pytest.ExitCode.INTERRUPTED
    assert bench.verdicts() == {bench.ids["passes"]: "pass", bench.ids["fails"]: "error"}


def test_who_has_another_use_for_a_signal_keeps_it(bench, signalled):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        bench.suite("passes", "fails")
        signalled("judging", "SIGTERM")
        assert ended(bench).ret == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [True]
    assert bench.verdicts() == {bench.ids["passes"]: "pass", bench.ids["fails"]: "fail"}


@pytest.mark.parametrize(
    ("name", "to"),
    [
        pytest.param("SIGTERM", "os.getpid()", id="to the controller, as services send it"),
        pytest.param("SIGINT", "0", id="to every process, as Ctrl-C does"),
    ],
)
def test_a_run_of_several_processes_writes_what_its_workers_judged(bench, name, to):
    bench.suite("passes", "fails", "unsure")
    bench.pytester.makeconftest(SEVERAL.format(to=to, name=name))
    given = ["--coherence", f"--coherence-store={bench.store}", "--coherence-junit=j.xml", "-n", "2"]
    command = [sys.executable, "-m", "pytest", *given, "--coherence-html=h.html"]
    # A session of its own: what is sent to every process of it must not come here.
    run = subprocess.run(command, cwd=bench.path, start_new_session=True, capture_output=True, timeout=300)
    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert bench.verdicts() == {
        bench.ids["passes"]: "pass",
        bench.ids["fails"]: "error",
        bench.ids["unsure"]: "error",
    }
    assert bench.sentence("unsure") == f"{bench.ids['unsure']} {ENDED.format(name)}"
    cases = list(ElementTree.parse(bench.path / "j.xml").iter("testcase"))
    assert [len(case.findall("error")) for case in cases] == [0, 1, 1]
    assert (bench.path / "h.html").read_text().rstrip().endswith("</html>")
    assert list(bench.path.rglob("*.partial")) == []
