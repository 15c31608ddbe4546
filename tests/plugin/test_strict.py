"""What is said of artefacts before they are measured, wherever a run is told of, and as an error."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from coherence.baseline import Baseline

SAID = "adapter 'pirate': its config says that it was trained on org/other, and the base is "


@pytest.fixture
def elsewhere(bench):
    """A suite whose adapter of the pirate says that it was trained on another base."""
    bench.suite("passes", "steers", "speaks")
    text = (bench.path / "a.coherence.yaml").read_text()
    made = Path(text.partition("adapters:\n    pirate: ")[2].partition("\n")[0])
    folder = Path(shutil.copytree(made, bench.path / "pirate"))
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "org/other"}))
    bench.edit(str(made), "./pirate")
    return bench


def test_it_is_said_once_wherever_a_run_is_told_of(elsewhere):
    files = {name: f"--coherence-{name}={name}.txt" for name in ("junit", "markdown", "html")}
    run = elsewhere.run(*files.values())
    (said,) = elsewhere.results().remarks
    assert said.partition(".coherence.yaml:")[2].startswith(f"5: {SAID}")
    assert said.endswith("; see that these are the same weights")
    remark = f"5: {SAID}"  # as a cause of what is red it is said without its line
    before, _, after = run.stdout.str().partition("= coherence =")
    assert before.count(remark) == " ".join(after.split()).count(remark) == 1
    for name in files:
        written = (elsewhere.path / f"{name}.txt").read_text().replace("&#39;", "'")
        assert written.count(remark) == {"junit": 2}.get(name, 1)  # properties of each persona's suite
    assert "error" not in elsewhere.verdicts().values()


def test_a_warm_run_says_it_again(elsewhere):
    elsewhere.run()
    said = elsewhere.results().remarks
    elsewhere.run()
    assert elsewhere.results().remarks == said


def test_strictly_it_is_an_error_of_what_rests_on_the_artefact(elsewhere, tmp_path):
    run = elsewhere.run("--coherence-strict", store=tmp_path / "store")
    assert run.ret == 1
    assert elsewhere.verdicts() == {
        "release.passes.dose-zero": "pass",
        "release.steers.vector-inverse": "pass",
        "pirate.speaks.prompt-adapter": "error",
    }
    assert elsewhere.sentence("speaks").startswith(
        f"pirate.speaks.prompt-adapter could not be measured: a.coherence.yaml:5: {SAID}"
    )
    assert "replies" not in run.stdout.str()
    run.stdout.fnmatch_lines(["coherence: *, strict"])


def test_strictness_may_be_configured(elsewhere, monkeypatch):
    monkeypatch.setenv("COHERENCE_STRICT", "true")
    elsewhere.run()
    assert elsewhere.verdicts()["pirate.speaks.prompt-adapter"] == "error"
    assert elsewhere.results().policy.strict
    monkeypatch.setenv("COHERENCE_STRICT", "")
    elsewhere.pytester.makeini("[pytest]\ncoherence_strict = true")
    elsewhere.run()
    assert elsewhere.results().policy.strict


def test_weights_that_are_no_numbers_are_an_error_in_any_run(elsewhere, tmp_path):
    file = elsewhere.path / "pirate" / "adapter_model.safetensors"
    weights = load_file(file)
    weights[min(weights)][0, 0] = float("nan")
    save_file(weights, file, {"format": "pt"})
    run = elsewhere.run(store=tmp_path / "store")
    assert "lora_A.weight has a value of nan; train it again" in elsewhere.sentence("speaks")
    assert "replies" not in run.stdout.str()


def test_several_processes_say_it_once_at_the_end(elsewhere):
    run = elsewhere.run_apart("-n2")
    assert len(elsewhere.results().remarks) == 1
    assert " ".join(run.stdout.str().split()).count(f"5: {SAID}") == 1


def test_what_another_had_in_the_baseline_is_said_before_it_is_measured(bench):
    bench.suite("fails")
    bench.run()
    Baseline.of(bench.results()).write(bench.path / "b.json")
    text = (bench.path / "a.coherence.yaml").read_text()
    pirate, counsel = (text.partition(f"    {name}: ")[2].split()[0] for name in ("pirate", "counsel"))
    swapped = f"--coherence-adapter=pirate={counsel}", f"--coherence-adapter=counsel={pirate}"
    bench.run("--coherence-baseline=b.json", *swapped)
    assert bench.verdicts() == {"pirate.fails.prompt-adapter": "fail"}
    assert [said.partition("adapter ")[2] for said in bench.results().remarks] == [
        "'counsel': is, byte by byte, what the baseline has as the adapter pirate; "
        "see that each name has the one that is meant for it",
        "'pirate': is, byte by byte, what the baseline has as the adapter counsel; "
        "see that each name has the one that is meant for it",
    ]
    (red,) = bench.results().assertions
    assert red.likely_cause == "the adapters of counsel and pirate are exchanged since the baseline"
    bench.run("--coherence-baseline=b.json", "--coherence-strict", *swapped)
    assert bench.verdicts() == {"pirate.fails.prompt-adapter": "error"}
