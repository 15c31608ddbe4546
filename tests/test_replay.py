"""Counterexamples of a gate, measured again from the command that its reports show."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from coherence.cli import main
from coherence.gate import Gate
from coherence.reports.grounds import explain
from coherence.reports.junit import write_junit
from coherence.results import AssertionResult, Results
from coherence.store import Store
from coherence.suite import Overrides, load_suite
from coherence.vocabulary import Verdict

SUITE = """\
coherence: 1
release:
  base: {base}
  adapters: {{pirate: {pirate}, counsel: {counsel}, mixed: {mixed}}}
personas: {{pirate: {{}}, counsel: {{prompt: Be brief., markers: [a]}}}}
probes: [Where is my order?, Isn't it "here"?, c, d, e, f, g, h]
assertions:
  - {{property: commutativity, laws: [scale-zero, adapter-disabled, adapter-order]}}
  - {{property: worst, of: [pirate, counsel], adapter: mixed, sums: [adapter], max_kl: 0.001}}
  - {{property: markers, between: [prompt, adapter], personas: [counsel], min_agreement: 0, max_difference: 1,
     min_recovery: 0}}
"""
BROKEN, HOLDS = "release.commutativity.scale-zero", "release.commutativity.adapter-disabled"
EXAMPLE = '{"probe": "where-is-my-order", "condition": "adapter pirate", "weight": 1}'


@pytest.fixture
def folder(
    tiny: Path, tiny_adapter: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with a suite whose pirate is DoRA, whose magnitudes act whatever the scale."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    pirate, counsel = tiny_adapter("pirate", 1, use_dora=True), tiny_adapter("counsel", 2)
    mixed = tiny_adapter("mixed", 3)
    text = SUITE.format(base=tiny, pirate=pirate, counsel=counsel, mixed=mixed)
    (tmp_path / "our suite.coherence.yaml").write_text(text)
    return tmp_path


def judged(assertion: str, overrides: Overrides = Overrides()) -> AssertionResult:  # noqa: B008
    suite = load_suite(Path("our suite.coherence.yaml").absolute(), overrides)
    (chosen,) = (one for one in suite.assertions if one.id == assertion)
    return Gate({suite: [chosen]}, Store(Path("cache/store"))).judge(suite, chosen)


def replayed(command: str, *options: str) -> int:
    program, *arguments = shlex.split(command)
    assert program == "coherence"
    return main([*arguments, *options])


def test_a_broken_law_is_broken_again(folder, tiny_adapter, capsys):
    found = judged(BROKEN)
    assert found.verdict is Verdict.FAIL
    assert found.replay.startswith(f"coherence replay 'our suite.coherence.yaml' {BROKEN} ")
    assert replayed(found.replay) == 1
    says, example, measured = capsys.readouterr().out.splitlines()
    assert says == "the law: an adapter at scale 0 leaves the base model"
    shown = re.fullmatch(r"smallest counterexample, (\S+): (.*)", found.evidence.probes[0].note)
    again = re.fullmatch(r"deviation (\S+), tolerance 0.0001: broken", measured)
    assert example == f"example: {shown[2]}"
    assert float(again[1]) == pytest.approx(float(shown[1]), rel=0.1)
    assert float(again[1]) <= 1.05 * found.evidence.decisive.estimate.value  # two digits of it

    mended = tiny_adapter("pirate", 1)
    assert replayed(found.replay, "--adapter", f"pirate={mended}") == 0
    assert capsys.readouterr().out.endswith("tolerance 0.0001: holds\n")


def test_a_broken_claim_is_broken_again(folder, capsys):
    found = judged("pirate+counsel.worst.adapter")
    assert found.verdict is Verdict.FAIL
    assert replayed(found.replay) == 1
    says, example, measured = capsys.readouterr().out.splitlines()
    assert says.startswith("the claim: the next token of the sum is that of the chimera")
    # DoRA's magnitudes act at strength 0 too.
    assert example == "example: probe where-is-my-order, weight 0.0"
    again = re.fullmatch(r"deviation (\S+), tolerance 0.001: broken", measured)
    assert float(again[1]) <= 1.05 * found.evidence.decisive.estimate.value  # two digits of it


def test_the_command_names_the_release_that_was_judged(folder, tiny_adapter):
    worse = tiny_adapter("counsel's", 3, use_dora=True)
    found = judged(BROKEN, Overrides(adapters={"counsel": str(worse), "pirate": str(tiny_adapter("pirate"))}))
    assert json.loads(found.evidence.probes[0].example)["condition"] == "adapter counsel"
    assert replayed(found.replay) == 1


def test_a_law_that_holds_has_nothing_to_replay(folder):
    found = judged(HOLDS)
    assert found.verdict is Verdict.PASS
    assert found.replay is None
    assert "replay" not in explain(found)


def test_the_command_stands_whole_in_every_report(folder, tmp_path):
    found = judged(BROKEN)
    assert f"look closer: {found.replay}" in explain(found, width=40).splitlines()
    results = Results(started="2026-01-02T03:04:05Z", seconds=1.0, seed=7, versions={}, assertions=(found,))
    write_junit(results, tmp_path / "junit.xml")
    (failure,) = ElementTree.parse(tmp_path / "junit.xml").iter("failure")
    assert found.replay in failure.text
    results.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json").assertions[0].replay == found.replay


@pytest.mark.parametrize(
    ("assertion", "example", "sentence"),
    [
        (
            "release.commutativity.scale-zer",
            EXAMPLE,
            f"has no assertion 'release.commutativity.scale-zer'; did you mean '{BROKEN}'?",
        ),
        ("counsel.markers.prompt-adapter", EXAMPLE, "has no examples: it is no law"),
        (BROKEN, "where", "Invalid JSON"),
        (BROKEN, "{}", "probe: this key is missing; expected JSON such as {"),
        (
            BROKEN,
            EXAMPLE.replace("pirate", "pirat"),
            "condition: found 'adapter pirat'; did you mean 'adapter pirate'?",
        ),
        (
            BROKEN,
            EXAMPLE.replace("order", "odrer"),
            "probe: found 'where-is-my-odrer'; did you mean 'where-is-my-order'?",
        ),
        (BROKEN, EXAMPLE.replace("1}", '"much"}'), "weight: Input should be a valid number"),
    ],
)
def test_what_cannot_be_replayed_is_a_sentence_and_loads_no_model(
    folder, assertion, example, sentence, capsys
):
    # The base is gone: whoever asks for it would say so.
    assert main(["replay", "our suite.coherence.yaml", assertion, example, "--base", "./gone"]) == 4
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--base", "./gone"], "the command line: "),
        (["--adapter", "pirat=x"], "no release has the adapter 'pirat'; did you mean 'pirate'?"),
    ],
)
def test_a_release_that_cannot_be_used_is_a_sentence(folder, options, sentence, capsys):
    assert main(["replay", "our suite.coherence.yaml", BROKEN, EXAMPLE, *options]) == 4
    assert sentence in capsys.readouterr().err


def test_an_override_without_a_path_is_a_sentence(capsys):
    with pytest.raises(SystemExit) as left:
        main(["replay", "s", "a", "{}", "--vector", "pirate"])
    assert left.value.code == 4
    assert "argument --vector: found 'pirate', expected NAME=PATH" in capsys.readouterr().err
