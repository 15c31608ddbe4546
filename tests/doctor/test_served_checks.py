"""The doctor asks a server: what it is, what it exposes, and whether it serves a suite's release."""

import pytest
from serving.fault import Fault
from serving.server import Serving
from tiny import QUESTIONS

from coherence.cli import main
from coherence.doctor.served_checks import served, server


@pytest.fixture(scope="module")
def adapter(tiny_adapter):
    return tiny_adapter("pirate", seed=1)


@pytest.fixture(scope="module")
def serving(tiny, adapter):
    with Serving.of(tiny, {"pirate": adapter}) as one:
        yield one


@pytest.fixture
def suite(tmp_path, tiny, adapter, monkeypatch):
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.coherence.yaml"
    release = f"release:\n  base: {tiny}\n  adapters: {{pirate: {adapter}}}\n"
    personas = "personas:\n  pirate: {prompt: Answer as a pirate.}\n"
    asserted = "  - {property: served, regimes: [adapter]}\n"
    path.write_text(f"coherence: 1\n{release}{personas}{QUESTIONS}{asserted}")
    return path


def states(checks):
    return {check.what: check.state for check in checks}


def test_a_server_is_looked_at_by_itself(serving):
    checks = list(server(serving.url, None))
    assert {check.state for check in checks} == {"ok"}
    assert [str(check) for check in checks[:2]] == [
        f"ok    server: {serving.url} is vllm 0.0.test, with 2 models",
        "ok    names: lists base, pirate; the base is base",
    ]


def test_what_is_not_exposed_is_a_warning_and_an_unknown_name_a_fail(serving):
    with serving.faulty(Fault.ECHO_MISSING, Fault.UNKNOWN_SERVED):
        found = states(server(serving.url, None))
    assert found == {
        "server": "ok",
        "names": "ok",
        "token ids": "ok",
        "likelihoods": "warn",
        "unknown names": "fail",
    }


def test_prompts_that_are_only_counted_are_a_warning_unless_counts_differ(serving, suite):
    with serving.faulty(Fault.IDS_MISSING):
        assert states(served(suite, serving.url, None))["served prompts"] == "warn"
    with serving.faulty(Fault.IDS_MISSING, Fault.SYSTEM_INJECTED):
        assert states(served(suite, serving.url, None))["served prompts"] == "fail"


def test_a_server_that_is_not_there_is_one_line():
    (check,) = server("http://127.0.0.1:9", None)
    assert check.state == "fail"
    assert "cannot be reached" in check.found


def test_a_release_that_is_served_is_well(serving, suite):
    checks = list(served(suite, serving.url, None))
    assert {check.what: check.state for check in checks} == {
        "served names": "ok",
        "served prompts": "ok",
        "served adapter": "ok",
    }
    assert "pirate has an effect slope of 1.00 [" in checks[-1].found


@pytest.mark.parametrize(
    ("fault", "what", "said"),
    [
        (Fault.ADAPTER_IGNORED, "served adapter", "pirate has an effect slope of 0.00"),
        (Fault.SYSTEM_DROPPED, "served prompts", "the server leaves out the system turn"),
    ],
)
def test_what_is_wrong_fails(serving, suite, fault, what, said):
    suite.write_text(suite.read_text().replace("personas:", "neutral: You are helpful.\npersonas:"))
    with serving.faulty(fault):
        checks = {check.what: check for check in served(suite, serving.url, None)}
    assert checks[what].state == "fail"
    assert said in checks[what].found


def test_an_adapter_that_is_not_listed_is_named(tiny, suite):
    with Serving.of(tiny, {}) as bare:
        checks = {check.what: check for check in served(suite, bare.url, None)}
    assert checks["served names"].found == "the server lists base, and nothing for pirate"
    assert checks["served adapter"].state == "warn"


def test_the_command_asks_too(serving, suite, capsys):
    assert main(["doctor", "--served", serving.url, str(suite)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ok    served adapter: pirate has an effect slope") for line in lines)
