"""The command line, and a run that does not ask for the gate."""

import pytest

from coherence.plugin import pytest_addoption


class Group:
    def __init__(self):
        self.options = {}
        self.settings = {}

    def getgroup(self, *about):
        return self

    def addoption(self, name, **settings):
        self.options[name] = settings

    def addini(self, name, text, **settings):
        self.settings[name] = text


@pytest.fixture
def group():
    group = Group()
    pytest_addoption(group)
    return group


@pytest.fixture
def options(group):
    return group.options


def test_every_option_is_named_after_the_plugin_and_explained(options, pytester):
    text = pytester.runpytest("--help").stdout.str()
    for name, settings in options.items():
        assert name == "--coherence" or name.startswith("--coherence-")
        assert settings["help"].endswith(".")
        assert name in text


def test_every_option_has_a_setting(group):
    texts = {f"--{name.replace('_', '-')}": text for name, text in group.settings.items()}
    assert texts == {name: settings["help"] for name, settings in group.options.items()}


def test_a_plain_run_collects_no_suite_and_says_nothing(bench):
    bench.suite("passes")
    run = bench.pytester.runpytest("-q")
    assert run.ret == 5
    assert "coherence" not in run.stdout.str() + run.stderr.str()
    assert not (bench.path / "coherence-results.json").exists()


def test_options_without_the_gate_do_nothing(bench):
    bench.suite("passes")
    assert bench.pytester.runpytest("--coherence-adapter", "nonsense").ret == 5


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--coherence-adapter=pirate", "--coherence-adapter 'pirate': expected NAME=PATH"),
        ("--coherence-adapter=pirate=", "--coherence-adapter 'pirate=': expected NAME=PATH"),
        ("--coherence-vector==x.pt", "--coherence-vector '=x.pt': expected NAME=PATH"),
        ("--coherence-seed=-1", "argument --coherence-seed: expected a whole number from 0 up, found '-1'"),
        ("--coherence-seed=x", "argument --coherence-seed: expected a whole number from 0 up, found 'x'"),
        ("--coherence-stor=x", "unrecognized arguments: --coherence-stor=x"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(bench, option, sentence):
    bench.suite("passes")
    run = bench.run(option)
    assert run.ret == 4
    assert sentence in run.stderr.str()
    assert "Traceback" not in run.stderr.str()


def test_the_marks_are_known(bench):
    run = bench.pytester.runpytest("--markers")
    run.stdout.fnmatch_lines(["@pytest.mark.coherence: *", "@pytest.mark.collinearity: *"])
