"""`coherence doctor`."""

import pytest

from coherence.cli import main


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))


def test_a_line_for_each_thing(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line[:4].strip() for line in lines} == {"ok", "warn"}


def test_a_fail_of_a_release_is_told_by_the_exit_code(suite, capsys):
    assert main(["doctor", str(suite)]) == 1
    fails = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fail")]
    assert len(fails) == 1
    assert fails[0].startswith(
        "fail  adapter pirate: a.coherence.yaml:2: adapter 'pirate': there is no folder"
    )


def test_with_strict_a_warning_is_told_by_the_exit_code(capsys):
    # Whether the reference model is here yet or not, one of these is a warning elsewhere and neither fails.
    assert main(["doctor"]) == 0
    expected = int("warn" in {line[:4] for line in capsys.readouterr().out.splitlines()})
    assert main(["doctor", "--strict"]) == expected
