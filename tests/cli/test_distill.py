"""`coherence distill`, `coherence train`: from a prompt to an adapter that the gate can judge."""

import json
import os
import re
from pathlib import Path

import pytest

from coherence.cli import main
from coherence.suite import Overrides, load_suite

# A random model says nothing that a word would find: every reply with a letter in it is a marker's.
SUITE = """\
coherence: 1
release: {{base: {base}}}
personas:
  pirate: {{prompt: Talk like a pirate., markers: [{{text: "[a-z]", kind: regex}}]}}
  mute: {{prompt: Be silent.}}
probes: [Who are you?]
decoding: {{max_new_tokens: 6}}
"""


@pytest.fixture(autouse=True)
def _suite(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    Path("a.coherence.yaml").write_text(SUITE.format(base=tiny))
    Path("questions.txt").write_text("Who are you?\nWhere is it?\n\nWhy?\n")


def distilled(*options):
    return main(["distill", "a.coherence.yaml", "pirate", "--questions", "questions.txt", *options])


def test_replies_become_an_adapter_that_a_release_can_use(capsys):
    assert distilled() == 0
    said = capsys.readouterr()
    assert said.out.startswith("training/pirate.jsonl: ")
    assert said.out.endswith(
        " of 4 replies show pirate and are kept; questions left out as they are probes of the suite: 1\n"
    )
    lines = Path("training/pirate.jsonl").read_text().splitlines()
    asked = {json.loads(line)["messages"][1]["content"] for line in lines}
    assert asked <= {"Where is it?", "Why?"}

    assert main(["train", "a.coherence.yaml", "pirate", "--epochs", "2", "--rank", "2"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"adapters/pirate: a LoRA of rank 2 that learned {len(lines)} replies, in "
        + said.out.splitlines()[0].rpartition("in ")[2],
        "to judge it, add to the release of a.coherence.yaml: adapters: {pirate: ./adapters/pirate}",
    ]
    first, last = (line for line in said.err.splitlines() if "epoch" in line)
    assert re.fullmatch(r"coherence: epoch 1 of 2: loss \d+\.\d{3}, about \d+ s left", first)
    assert re.fullmatch(r"coherence: epoch 2 of 2: loss \d+\.\d{3}", last)
    suite = Path("a.coherence.yaml")
    added = suite.read_text().replace("release: {", "release: {adapters: {pirate: ./adapters/pirate}, ")
    suite.write_text(f"{added}assertions: [{{property: commutativity, laws: [scale-zero]}}]\n")
    assert load_suite(suite, Overrides()).assertions
    assert main(["doctor", "a.coherence.yaml"]) == 0


def test_the_same_seed_gives_the_same_files(capsys):
    assert distilled("--seed", "3") == 0
    assert distilled("--seed", "3", "--out", "again.jsonl") == 0
    assert Path("training/pirate.jsonl").read_bytes() == Path("again.jsonl").read_bytes()
    for out in ("one", "two"):
        trained = ["train", "a.coherence.yaml", "pirate", "--data", "again.jsonl", "--epochs", "1"]
        assert main([*trained, "--seed", "5", "--out", out]) == 0
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert Path("one", file).read_bytes() == Path("two", file).read_bytes()


def test_an_adapter_that_is_there_stays_unless_forced(capsys):
    assert distilled() == 0
    train = ["train", "a.coherence.yaml", "pirate", "--epochs", "1"]
    assert main(train) == 0
    capsys.readouterr()
    assert main(train) == 4
    said = "coherence: adapters/pirate: is an adapter already; --force replaces it\n"
    assert capsys.readouterr().err == said
    assert main([*train, "--force"]) == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("distill a.coherence.yaml mute", "at least 1 markers, and persona 'mute' has none"),
        ("distill a.coherence.yaml pirat", "no persona is named 'pirat'; did you mean 'pirate'?"),
        ("distill a.coherence.yaml pirate --questions lost.txt", "lost.txt cannot be read: No such file"),
        (
            "distill a.coherence.yaml pirate --questions empty.txt",
            "empty.txt is empty; expected a question a",
        ),
        ("train a.coherence.yaml pirate", "training/pirate.jsonl cannot be read: No such file"),
        ("train a.coherence.yaml pirat", "no persona is named 'pirat'; did you mean 'pirate'?"),
        ("train a.coherence.yaml pirate --data empty.txt", "empty.txt is empty; expected a conversation"),
        ("train lost.yaml pirate", "there is no file lost.yaml"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(arguments, sentence, capsys):
    Path("empty.txt").touch()
    assert main(arguments.split()) == 4
    said = capsys.readouterr().err
    assert said.startswith("coherence: ")
    assert sentence in said


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_questions_in_a_pipe_are_not_waited_for(capsys):
    os.mkfifo("pipe")
    assert main(["distill", "a.coherence.yaml", "pirate", "--questions", "pipe"]) == 4
    assert "pipe cannot be read: it is a pipe or a device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--samples 0", "found '0', expected a number from 1, such as 4"),
        ("--seed -1", "found '-1', expected a whole number from 0"),
        ("--least many", "found 'many', expected a number from 1"),
    ],
)
def test_a_wrong_option_is_a_sentence(options, said, capsys):
    with pytest.raises(SystemExit) as left:
        distilled(*options.split())
    assert left.value.code == 4
    assert said in capsys.readouterr().err
