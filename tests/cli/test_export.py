"""`coherence export`: what is written can be named in a release, and does the same there."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from coherence.cli import main
from coherence.engine.artefacts.artefacts import Artefacts
from coherence.engine.model.host import Host
from coherence.engine.running.runner import Runner
from coherence.store import Store
from coherence.suite import Overrides, load_scene

SUITE = """\
coherence: 1
release:
  base: {base}
  adapters: {{pirate: {adapter}, whole: {base}, begun: {begun}}}
  vectors:
    pirate: {{path: {vector}, site: resid_post.2}}
    reply: {{path: {vector}, site: resid_post.2, tokens: reply}}
personas:
  pirate: {{prompt: Talk like a pirate., dose: 0.4}}
  whole: {{prompt: Be whole.}}
  begun: {{prompt: Begin.}}
  reply: {{prompt: Be brief.}}
  mute: {{}}
"""
IDS = torch.tensor([[5, 9, 40, 41, 7, 8]])


@pytest.fixture
def suite(tiny, tiny_adapter, tiny_vector, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "a.coherence.yaml"
    path.write_text(
        SUITE.format(
            base=tiny,
            adapter=tiny_adapter("pirate"),
            vector=tiny_vector("pirate", site="resid_post.2"),
            begun=tiny_adapter("begun", alora_invocation_tokens=[1]),
        )
    )
    return path


def logits(host, name):
    with host.switched(((name, 1.0),)):
        return host.model(input_ids=IDS).logits


@pytest.mark.parametrize("form", ["--gguf pirate.gguf", "--merged merged", "--plain plain"])
def test_an_adapter_in_another_form_does_the_same(suite, tiny, capsys, form):
    option, out = form.split()
    assert main(["export", str(suite), "pirate", option, out, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == out
    assert told["form"] == option[2:]
    host = Host.load(tiny, "float32")
    scene, places = load_scene(suite, Overrides())
    host.mount("pirate", Artefacts.of(scene, places).adapter("pirate"))
    host.mount("form", Path(out))
    torch.testing.assert_close(logits(host, "form"), logits(host, "pirate"), atol=1e-4, rtol=1e-4)


def test_a_control_vector_adds_what_the_suite_steers_by(suite, capsys):
    assert main(["export", str(suite), "pirate", "--control-vector", "v.gguf"]) == 0
    assert capsys.readouterr().out == (
        "v.gguf: vector pirate at a dose of 0.4, added to the outputs of block 2\n"
    )
    own, written = (
        Runner(Artefacts.of(*load_scene(path, Overrides())), Store(Path("cache")), print).unit("pirate")
        for path in (suite, _with(suite, "{path: ./v.gguf, sites: all, unit: raw}"))
    )
    assert [*written] == [*own] == [3]
    assert np.allclose(written[3], 0.4 * own[3], rtol=1e-6)


def _with(suite: Path, vector: str) -> Path:
    path, (head, _) = suite.with_name("b.coherence.yaml"), suite.read_text().split("  vectors:", 1)
    path.write_text(f"{head}  vectors: {{pirate: {vector}}}\npersonas: {{pirate: {{prompt: Arr.}}}}\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("pirat --gguf a.gguf", "no persona is named 'pirat'; did you mean 'pirate'?"),
        (
            "mute --gguf a.gguf",
            "cannot be put into the model by adapter: its adapter 'mute' is not in the release",
        ),
        (
            "mute --control-vector a.gguf",
            "cannot be put into the model by steering: its vector 'mute' is not in",
        ),
        ("whole --gguf a.gguf", "adapter 'whole': is a whole model already; expected an adapter"),
        ("whole --merged a", "adapter 'whole': is a whole model already; expected an adapter"),
        (
            "reply --control-vector a.gguf",
            "vector 'reply': acts on reply tokens; llama.cpp adds control vectors",
        ),
        ("begun --plain a", "adapter 'begun': is activated LoRA, which begins in the middle of a text"),
        ("begun --merged a", "adapter 'begun': is activated LoRA, which begins in the middle of a text"),
        ("pirate --merged .", ".: is there already; expected a new folder, or an empty one"),
        (
            "pirate --gguf a.coherence.yaml/a.gguf",
            "a.coherence.yaml/a.gguf: adapter 'pirate': cannot be written: ",
        ),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(suite, capsys, arguments, sentence):
    assert main(["export", str(suite), *arguments.split()]) == 4
    said = capsys.readouterr().err
    assert said.startswith("coherence: ")
    assert sentence in said
    assert {path.name for path in suite.parent.iterdir()} <= {suite.name, "cache"}


def test_the_ending_of_a_gguf_file_is_asked_for(suite, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", str(suite), "pirate", "--gguf", "a.bin"])
    assert ended.value.code == 4
    assert "found the ending '.bin', expected .gguf" in capsys.readouterr().err
