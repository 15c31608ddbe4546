"""What a suite's author gets wrong, told in a sentence that names file, line, what was found and expected."""

import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from spoilt import renamed

from coherence.engine.artefacts.vectors import save_vector
from coherence.vocabulary import Site


@pytest.fixture
def adapter(bench, tiny_adapter):
    """Spoil the weights of an adapter in a folder `spoilt`."""
    good = tiny_adapter("good", seed=3)

    def spoil(change):
        shutil.copytree(good, bench.path / "spoilt")
        weights = bench.path / "spoilt" / "adapter_model.safetensors"
        save_file({name: change(tensor) for name, tensor in load_file(weights).items()}, weights)

    return spoil


def named(bench, kind, path):
    """Let the suite name another artefact of the pirate's, and return the line."""
    bench.suite("speaks", "speaks steered")
    lines = (bench.path / "a.coherence.yaml").read_text().splitlines()
    return bench.edit(
        next(line for line in lines if line.startswith("    pirate: ") and kind in line),
        f"    pirate: {path}",
    )


def complaint(bench, about, *given):
    """Run the gate and return why an assertion could not be measured; the others are judged all the same."""
    run = bench.run(*given)
    assert run.ret == 1
    verdicts = bench.verdicts()
    assert verdicts.pop(bench.ids[about]) == "error"
    assert "error" not in verdicts.values()
    assert "Traceback" not in run.stdout.str()
    return bench.sentence(about).partition(" could not be measured: ")[2]


def test_an_adapter_that_is_not_there(bench):
    line = named(bench, "adapters", "./lost")
    assert complaint(bench, "speaks") == (
        f"a.coherence.yaml:{line}: adapter 'pirate': there is no folder lost"
    )


def test_an_adapter_folder_that_is_empty(bench):
    (bench.path / "hollow").mkdir()
    line = named(bench, "adapters", "hollow")
    said = complaint(bench, "speaks")
    assert said.startswith(
        f"a.coherence.yaml:{line}: adapter 'pirate': hollow holds no model and no adapter;"
    )


def test_an_adapter_of_another_base(bench, adapter):
    adapter(lambda tensor: tensor.repeat(1, 2))
    line = named(bench, "adapters", "spoilt")
    said = complaint(bench, "speaks")
    assert said.startswith(f"a.coherence.yaml:{line}: adapter 'pirate': was made for another base: ")
    assert "expected [" in said


def test_keys_that_peft_writes_otherwise_are_said_by_warm_runs_as_well(bench, adapter):
    adapter(lambda tensor: tensor)
    renamed(lambda key: key.replace("base_model.model.", "module."))(bench.path / "spoilt")
    named(bench, "adapters", "spoilt")
    for _ in range(2):
        bench.run()
        notes = {result.id: result.evidence.notes for result in bench.results().assertions}
        (told,) = (note for note in notes[bench.ids["speaks"]] if "are named as" in note)
        assert told.startswith("adapter 'pirate': its weights are named as module.model.layers.0.")
        assert not any("are named as" in note for note in notes[bench.ids["speaks steered"]])


def test_an_adapter_that_changes_nothing(bench, adapter):
    adapter(lambda tensor: tensor * 0)
    line = named(bench, "adapters", "spoilt")
    assert complaint(bench, "speaks") == (
        f"a.coherence.yaml:{line}: adapter 'pirate': changes nothing: the logits are those of the base model"
    )


def test_an_adapter_that_is_half_a_file(bench, adapter):
    adapter(lambda tensor: tensor)
    weights = bench.path / "spoilt" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    line = named(bench, "adapters", "spoilt")
    assert complaint(bench, "speaks").startswith(
        f"a.coherence.yaml:{line}: adapter 'pirate': cannot be mounted: "
    )


@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (
            float("nan"),
            "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight has a value of nan, and 23 other "
            "tensors have such values; train it again",
        ),
        (1e25, "holds weights that make NaN or infinite logits"),
    ],
)
def test_an_adapter_that_makes_the_activations_explode(bench, adapter, factor, sentence):
    adapter(lambda tensor: tensor * factor)
    line = named(bench, "adapters", "spoilt")
    assert complaint(bench, "speaks") == f"a.coherence.yaml:{line}: adapter 'pirate': {sentence}"


def test_the_command_line_is_named_where_it_is_to_blame(bench):
    bench.suite("speaks", "speaks steered")
    said = complaint(bench, "speaks", "--coherence-adapter=pirate=./lost")
    assert said == "the command line: adapter 'pirate': there is no folder lost"


@pytest.mark.parametrize(
    ("vector", "sentence"),
    [
        ("wide", "found 16, expected 32, the width of the base"),
        ("deep", "found the site resid_post.7, expected a block from 0 to 3, those of the base"),
    ],
)
def test_a_vector_of_another_base(bench, vector, sentence):
    size, site = {"wide": (16, "resid_post.1"), "deep": (32, "resid_post.7")}[vector]
    save_vector(bench.path / f"{vector}.safetensors", np.ones(size, np.float32), Site.parse(site), {})
    line = named(bench, "vectors", f"{vector}.safetensors")
    assert complaint(bench, "speaks steered") == (
        f"a.coherence.yaml:{line}: the vector 'pirate' ({vector}.safetensors) cannot be used: {sentence}"
    )


def test_a_vector_that_is_not_there(bench):
    line = named(bench, "vectors", "lost.safetensors")
    said = complaint(bench, "speaks steered")
    assert said.startswith(f"a.coherence.yaml:{line}: vector 'pirate': ")
    assert "lost.safetensors" in said


@pytest.mark.parametrize("spoilt", ["torn", "weightless", "wordless"])
def test_a_base_that_cannot_be_loaded(bench, tiny, spoilt):
    base = shutil.copytree(tiny, bench.path / spoilt)
    if spoilt == "torn":
        (base / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:500])
    elif spoilt == "weightless":
        (base / "model.safetensors").unlink()
    else:
        (base / "tokenizer.json").unlink()
    bench.suite("passes", "fails")
    run = bench.run(f"--coherence-base={spoilt}")
    assert run.ret == 1
    assert set(bench.verdicts().values()) == {"error"}
    said = bench.sentence("passes").partition(" could not be measured: ")[2]
    assert said.startswith(f"the command line: base '{spoilt}': ")


def test_a_broken_line_of_probes(bench):
    (bench.path / "probes.jsonl").write_text('{"id": "a", "text": "Who are you?"}\n{"id": "b", "text"\n')
    bench.suite("passes")
    bench.suite("passes", name="b")
    bench.edit("  - Who are you?", "  - probes.jsonl", name="b")
    assert bench.run().ret == 1
    assert bench.sentence("b.suite").startswith(
        "b.suite could not be measured: probes.jsonl:2: expected JSON such as"
    )
    assert bench.verdicts()[bench.ids["passes"]] == "pass"


def test_a_store_that_cannot_be_used(bench):
    (bench.path / "file").touch()
    bench.suite("passes", "fails")
    run = bench.run(store=bench.path / "file")
    assert run.ret == 1
    assert set(bench.verdicts().values()) == {"error"}
    assert bench.sentence("passes").startswith(
        "release.passes.dose-zero could not be measured: the store file cannot be read: Not a directory; "
        "give another folder with --coherence-store PATH"
    )


def test_a_second_store_that_is_none(bench):
    bench.suite("passes")
    run = bench.run("--coherence-store-from=nowhere")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*--coherence-store-from: *nowhere cannot be read as a store: No such file*"])


def test_a_warm_second_store_measures_nothing(bench, monkeypatch):
    bench.suite("passes")
    bench.run()
    monkeypatch.setenv("COHERENCE_STORE_FROM", str(bench.store))
    own = bench.path / "own"
    run = bench.run(store=own)
    assert bench.verdicts()[bench.ids["passes"]] == "pass"
    assert not list(own.rglob("*.lock"))  # held by who measures
    run.stdout.fnmatch_lines([f"coherence: *, store {own}, read-only {bench.store}*"])
    assert list(own.rglob("*.safetensors"))
