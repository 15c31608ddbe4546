"""Where an option may stand, what comes before what, and what is said of a value that is wrong."""

from pathlib import Path

import pytest

from coherence.plugin.options import OPTIONS, Setting, setting_of

# What stands in the configuration, and what it comes to in a folder.
CONFIGURED = {
    "--coherence": ("true", lambda folder: True),
    "--coherence-base": ("org/model", lambda folder: "org/model"),
    "--coherence-adapter": ("\n  a=x=y\n  b=z", lambda folder: {"a": "x=y", "b": "z"}),
    "--coherence-vector": ("a=x.pt", lambda folder: {"a": "x.pt"}),
    "--coherence-dtype": ("bfloat16", lambda folder: "bfloat16"),
    "--coherence-served": ("http://127.0.0.1:8000", lambda folder: "http://127.0.0.1:8000"),
    "--coherence-served-fresh": ("true", lambda folder: True),
    "--coherence-seed": ("7", lambda folder: 7),
    "--coherence-store": ("store", lambda folder: folder / "store"),
    "--coherence-store-from": ("theirs", lambda folder: folder / "theirs"),
    "--coherence-rehash": ("true", lambda folder: True),
    "--coherence-engine": ("ray=127.0.0.1:6379", lambda folder: "ray=127.0.0.1:6379"),
    "--coherence-actors": ("2", lambda folder: 2),
    "--coherence-budget": ("2m, 5000 calls", lambda folder: "2m, 5000 calls"),
    "--coherence-adjust": ("none", lambda folder: "none"),
    "--coherence-looks": ("8, 16", lambda folder: (8, 16)),
    "--coherence-inconclusive": ("warn", lambda folder: "warn"),
    "--coherence-strict": ("true", lambda folder: True),
    "--coherence-tier": ("smoke", lambda folder: "smoke"),
    "--coherence-baseline-missing": ("record", lambda folder: "record"),
    "--coherence-baseline-fail": ("vanished", lambda folder: "vanished"),
    "--coherence-annotations": ("github", lambda folder: "github"),
    "--coherence-baseline": ("b.json", lambda folder: folder / "b.json"),
    "--coherence-baseline-tolerance": ("0.1", lambda folder: 0.1),
    "--coherence-baseline-anyway": ("true", lambda folder: True),
    "--coherence-results": ("out/r.json", lambda folder: folder / "out/r.json"),
    "--coherence-junit": ("j.xml", lambda folder: folder / "j.xml"),
    "--coherence-markdown": ("/tmp/s.md", lambda folder: Path("/tmp/s.md")),
    "--coherence-junit-strict": ("on", lambda folder: True),
    "--coherence-html": ("h.html", lambda folder: folder / "h.html"),
    "--coherence-report": ("view=v.txt", lambda folder: {"view": "v.txt"}),
}
VARIABLES = {
    "--coherence-adjust": ("COHERENCE_ADJUST", "none"),
    "--coherence-annotations": ("COHERENCE_ANNOTATIONS", "none"),
    "--coherence-baseline-fail": ("COHERENCE_BASELINE_FAIL", "none"),
    "--coherence-baseline-missing": ("COHERENCE_BASELINE_MISSING", "warn"),
    "--coherence-dtype": ("COHERENCE_DTYPE", "float16"),
    "--coherence-engine": ("COHERENCE_ENGINE", "ray"),
    "--coherence-inconclusive": ("COHERENCE_INCONCLUSIVE", "warn"),
    "--coherence-looks": ("COHERENCE_LOOKS", "12"),
    "--coherence-rehash": ("COHERENCE_REHASH", "false"),
    "--coherence-served": ("COHERENCE_SERVED", "http://127.0.0.1:8000"),
    "--coherence-served-fresh": ("COHERENCE_SERVED_FRESH", "false"),
    "--coherence-store-from": ("COHERENCE_STORE_FROM", "mounted"),
    "--coherence-strict": ("COHERENCE_STRICT", "false"),
    "--coherence-tier": ("COHERENCE_TIER", "smoke"),
}
SMOKE = "{property: commutativity, id: quick, laws: [dose-zero], examples: 1, tier: smoke}"


@pytest.fixture(autouse=True)
def _unasked(monkeypatch):
    for variable, _ in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def configure(pytester):
    """Write pytest's configuration into a folder of its own, and read it with a command line."""

    def configure(text, *arguments):
        (pytester.path / "below").mkdir(exist_ok=True)
        path = pytester.path / "below" / "pytest.ini"
        path.write_text(f"[pytest]\n{text}\n")
        return pytester.parseconfig("-c", path, *arguments)

    return configure


def test_nothing_is_left_out():
    assert set(CONFIGURED) == set(OPTIONS)
    assert {flag: variable for flag, (variable, _) in VARIABLES.items()} == {
        flag: option.variable for flag, option in OPTIONS.items() if option.variable
    }


@pytest.mark.parametrize("flag", CONFIGURED)
def test_every_option_may_be_configured(configure, pytester, flag):
    written, expected = CONFIGURED[flag]
    key = OPTIONS[flag].key
    found = setting_of(configure(f"{key} = {written}"), flag)
    assert found.value == expected(pytester.path / "below")
    assert found.where == f"{pytester.path / 'below' / 'pytest.ini'}: {key}"


@pytest.mark.parametrize("flag", OPTIONS)
def test_what_is_written_nowhere_is_the_default(configure, flag):
    assert setting_of(configure(""), flag) == (OPTIONS[flag].default, flag, None)


@pytest.mark.parametrize("flag", ["--coherence-tier", "--coherence-junit", "--coherence-adapter"])
def test_a_key_without_a_value_is_the_default(configure, flag):
    assert setting_of(configure(f"{OPTIONS[flag].key} ="), flag) == (OPTIONS[flag].default, flag, None)


@pytest.mark.parametrize("flag", [flag for flag in VARIABLES if OPTIONS[flag].ini != "bool"])
def test_a_variable_comes_before_the_configuration_and_after_the_command_line(configure, monkeypatch, flag):
    variable, written = VARIABLES[flag]
    key, other = OPTIONS[flag].key, CONFIGURED[flag][0]
    monkeypatch.setenv(variable, written)
    config = configure(f"{key} = {other}")
    assert setting_of(config, flag) == OPTIONS[flag].read(Setting(written, variable))
    found = setting_of(configure(f"{key} = {written}", f"{flag}={other}"), flag)
    assert found == OPTIONS[flag].read(Setting(other, flag))
    monkeypatch.setenv(variable, "")
    assert setting_of(config, flag).value == CONFIGURED[flag][1](config.rootpath)


@pytest.mark.parametrize(
    ("written", "expected"), [("1", True), ("False", False), ("on", True), ("no", False)]
)
def test_a_flag_may_be_set_in_the_environment(configure, monkeypatch, written, expected):
    monkeypatch.setenv("COHERENCE_REHASH", written)
    config = configure(f"coherence_rehash = {str(not expected).lower()}")
    assert setting_of(config, "--coherence-rehash") == (expected, "COHERENCE_REHASH", None)
    assert setting_of(configure("", "--coherence-rehash"), "--coherence-rehash").value is True


@pytest.mark.parametrize("flag", ["--coherence-adapter", "--coherence-results", "--coherence-seed"])
def test_the_command_line_comes_before_the_configuration(configure, flag):
    written = {"--coherence-adapter": "b=x", "--coherence-results": "r.json", "--coherence-seed": "3"}[flag]
    expected = {"--coherence-adapter": {"b": "x"}, "--coherence-results": Path("r.json")}.get(flag, 3)
    config = configure(f"{OPTIONS[flag].key} = {CONFIGURED[flag][0]}", f"{flag}={written}")
    assert setting_of(config, flag) == (expected, flag, None)


def test_a_key_may_be_overridden(configure):
    found = setting_of(configure("coherence_tier = full", "-o", "coherence_tier=smoke"), "--coherence-tier")
    assert (found.value, found.where) == ("smoke", "-o coherence_tier")


@pytest.mark.parametrize("flag", VARIABLES)
def test_a_wrong_variable_is_a_usage_error(bench, monkeypatch, flag):
    variable, _ = VARIABLES[flag]
    monkeypatch.setenv(variable, "x")
    run = bench.run()
    assert run.ret == 4
    wrong = {
        "--coherence-engine": "unknown engine 'x'; expected one of ",
        "--coherence-looks": "expected numbers of probes, such as 8,16, found 'x'",
        "--coherence-rehash": "expected true or false, found 'x'",
        "--coherence-served": "found 'x' as the URL of a server; expected http or https",
        "--coherence-served-fresh": "expected true or false, found 'x'",
        "--coherence-store-from": "x cannot be read as a store: No such file or directory",
        "--coherence-strict": "expected true or false, found 'x'",
    }.get(flag, "unknown choice 'x'; expected one of ")
    (said,) = (line for line in run.errlines if line)
    assert said.startswith(f"ERROR: {variable}: {wrong}")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("coherence = maybe", "coherence: expected true or false: * 'maybe'"),
        ("coherence_junit_strict = 2", "coherence_junit_strict: expected true or false: * '2'"),
        ("coherence_adapter = pirate", "coherence_adapter 'pirate': expected NAME=PATH"),
        ("coherence_report = =x", "coherence_report '=x': expected NAME=PATH"),
        ("coherence_report = x=y", "coherence_report: no view is named 'x'; *"),
        ("coherence_seed = -1", "coherence_seed: expected a whole number from 0 up, found '-1'"),
        ("coherence_actors = 2", "coherence_actors is for --coherence-engine ray; the local engine has none"),
        ("coherence_engine = rai", "coherence_engine: unknown engine 'rai'; did you mean 'ray'?"),
        ("coherence_engine = ray=", "coherence_engine 'ray=': expected local, ray or ray=ADDRESS"),
        ("coherence_dtype = float", "coherence_dtype: unknown choice 'float'; did you mean 'float*'?"),
        ("coherence_budget = soon", "coherence_budget: 'soon' is no budget; expected a time *"),
        ("coherence_baseline = b.json", "coherence_baseline */b.json: there is no such file; *"),
        (
            "coherence_baseline_tolerance = x",
            "coherence_baseline_tolerance: expected a number from 0 up, found 'x'",
        ),
    ],
)
def test_a_wrong_key_is_a_usage_error_that_names_the_file(bench, line, sentence):
    bench.pytester.makeini(f"[pytest]\n{line}")
    run = bench.run() if line != "coherence = maybe" else bench.pytester.runpytest()
    assert run.ret == 4
    run.stderr.fnmatch_lines([f"ERROR: {bench.path}/tox.ini: {sentence.replace('[', '[[]')}"])
    assert "Traceback" not in run.stderr.str()


def test_a_wrong_override_of_a_key_is_named_as_one(bench):
    run = bench.run("-o", "coherence_tier=smok")
    assert run.ret == 4
    run.stderr.fnmatch_lines(["ERROR: -o coherence_tier: unknown choice 'smok'; did you mean 'smoke'?"])


def test_a_wrong_type_of_the_base_on_the_command_line(bench):
    run = bench.run("--coherence-dtype=bfloat")
    assert run.ret == 4
    run.stderr.fnmatch_lines(["ERROR: --coherence-dtype: unknown choice 'bfloat'; did you mean 'bfloat16'?"])


def test_the_gate_may_be_configured_with_all_that_it_writes(bench, monkeypatch):
    (bench.path / "suites").mkdir()
    bench.suite("passes", name="suites/a")
    (bench.path / "tox.ini").write_text(f"""[pytest]
coherence = true
coherence_store = {bench.store}
coherence_results = out/r.json
coherence_junit = out/j.xml
coherence_junit_strict = true
coherence_markdown = out/s.md
coherence_html = out/h.html
coherence_annotations = github
""")
    monkeypatch.chdir(bench.path / "suites")
    run = bench.pytester.runpytest("a.coherence.yaml")
    assert run.ret == 0
    assert {path.name for path in (bench.path / "out").iterdir()} == {"r.json", "j.xml", "s.md", "h.html"}
    assert "a.coherence.yaml" not in (bench.path / "out/j.xml").read_text()
    run.stdout.fnmatch_lines([f"results: {bench.path}/out/r.json"])
    assert bench.pytester.runpytest("-o", "coherence=false").ret == 5


def test_a_report_that_cannot_be_written_is_named_by_its_key(bench):
    bench.suite("passes")
    bench.pytester.makeini("[pytest]\ncoherence_junit = .")
    run = bench.run()
    assert run.ret == 4
    run.stdout.fnmatch_lines([f"{bench.path}/tox.ini: coherence_junit {bench.path} cannot be written: *"])


def test_artefacts_of_the_configuration_are_beside_it(bench, tiny, tiny_adapter, monkeypatch):
    bench.suite("adapts")
    (bench.path / "newer").symlink_to(tiny_adapter("newer", seed=9))
    (bench.path / "model").symlink_to(tiny)
    bench.pytester.makeini("[pytest]\ncoherence_adapter = pirate=newer\ncoherence_base = model")
    (bench.path / "below").mkdir()
    monkeypatch.chdir(bench.path / "below")
    assert bench.run("..").ret == 0
    (result,) = bench.results("below/coherence-results.json").assertions
    assert str(bench.path / "newer") in result.release["adapter pirate"]
    assert str(bench.path / "model") in result.release["base"]


def test_an_artefact_of_the_configuration_that_no_suite_has_a_use_for_is_named_by_its_key(bench):
    bench.suite("adapts")
    bench.pytester.makeini("[pytest]\ncoherence_adapter = pirat=x")
    run = bench.run()
    assert run.ret == 4
    run.stderr.fnmatch_lines(
        [f"ERROR: {bench.path}/tox.ini: coherence_adapter: no release has the adapter 'pirat'; *"]
    )


def test_a_variable_reaches_the_run_and_its_workers(bench, monkeypatch):
    bench.suite(SMOKE, "adapts")
    monkeypatch.setenv("COHERENCE_TIER", "smoke")
    run = bench.run_apart("-n", "2")
    assert run.ret == 0
    run.stdout.fnmatch_lines(["coherence: *, smoke tier"])
    assert bench.verdicts() == {"release.quick.dose-zero": "pass"}
