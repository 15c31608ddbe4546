"""What commands answer with `--json`, as docs/commands.md has it."""

import json
import re
import subprocess
from argparse import Namespace
from math import inf, nan
from pathlib import Path

import numpy as np
import pytest
from judged import judged, mean
from judged import run as judged_run
from tiny import write_judged, write_transcripts

from coherence.cli import COMMANDS, demo, main
from coherence.cli.command import Parser
from coherence.cli.output import Output, answered
from coherence.plan import Answer
from coherence.store import Store
from coherence.vocabulary import ArtefactFiles

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
SUITE = """\
coherence: 1
release: {{base: {base}, adapters: {{pirate: {adapter}}}}}
personas:
  pirate: {{prompt: Talk like a pirate., markers: [{{text: "[a-z]", kind: regex}}]}}
  counsel: {{prompt: Be formal.}}
probes: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]
decoding: {{max_new_tokens: 2}}
assertions:
  - {{property: commutativity, laws: [scale-zero], examples: 1}}
  - {{property: markers, between: [prompt, adapter], personas: [pirate], min_agreement: 0, max_difference: 1,
     min_recovery: 0}}
"""
EXAMPLE = '{"probe": "a", "condition": "adapter pirate", "weight": 1}'

# A command line for each.
LINES = {
    "bless": ["bless", "results.json"],
    "bom": ["bom", "results.json"],
    "calibrate": ["calibrate", "a.coherence.yaml", "--halves", "10"],
    "completion": ["completion", "bash"],
    "demo": ["demo"],
    "distill": ["distill", "a.coherence.yaml", "pirate", "--questions", "questions.txt"],
    "doctor": ["doctor"],
    "explain": ["explain", "markers"],
    "export": ["export", "a.coherence.yaml", "pirate", "--plain", "plain"],
    "extract": ["extract", "a.coherence.yaml", "pirate", "--site", "resid_post.2", "--out", "v.safetensors"],
    "fetch": ["fetch"],
    "init": ["init", "--name", "new", "--base", "BASE", "--no-model", "A pirate captain."],
    "judge check": ["judge", "check", "j.coherence.yaml"],
    "monitor": ["monitor", "t.jsonl", "--suite", "a.coherence.yaml", "--site", "resid_post.2"],
    "plan": ["plan", "a.coherence.yaml"],
    "replay": ["replay", "a.coherence.yaml", "release.commutativity.scale-zero", EXAMPLE],
    "report": ["report", "results.json", "--markdown", "r.md"],
    "schema": ["schema"],
    "sign": ["sign", "results.json", "--key", "private.pem"],
    "store ls": ["store", "ls"],
    "store prune": ["store", "prune", "--limit", "1GB"],
    "store verify": ["store", "verify"],
    "train": ["train", "a.coherence.yaml", "pirate", "--epochs", "1", "--rank", "2"],
    "validate": ["validate", "a.coherence.yaml"],
    "verify": ["verify", "results.json"],
}


def documented():
    """The fields of each command in the page's last table."""
    rows = re.findall(r"^\| `([\w ]+)` \| (.*) \|$", PAGE.partition("## For programs")[2], re.MULTILINE)
    # What stands in brackets is what is inside of a field.
    return {name: set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", fields))) for name, fields in rows}


def leaves():
    """Every command, and every action of one that has actions."""
    parser = Parser(prog="coherence")
    commands = parser.add_subparsers()
    for command in COMMANDS:
        command.add_to(commands)
    for name, inner in commands.choices.items():
        actions = [one.choices for one in inner._actions if one.choices and isinstance(one.choices, dict)]
        yield from (f"{name} {action}" for choices in actions for action in choices) if actions else [name]


@pytest.fixture
def here(tiny, tiny_adapter, tmp_path, monkeypatch):
    """A folder with a suite, results of a run and a key."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    Path("a.coherence.yaml").write_text(SUITE.format(base=tiny, adapter=tiny_adapter("pirate")))
    write_judged(Path("j.coherence.yaml"), tiny)
    Path("questions.txt").write_text("Where is it?\nWhy?\n")
    values = np.linspace(0.6, 1, 8)
    results = judged_run(judged(mean(values)), judged(mean(values, at_least=2), name="pirate.margin"))
    base = ArtefactFiles(name="base", named=str(tiny), digest="ab" * 32, files={"config.json": "ab" * 32})
    write_transcripts(Path("t.jsonl"))
    results = results.model_copy(update={"artefacts": (base,)})
    results.write(Path("results.json"))
    key = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "private.pem"]
    subprocess.run(key, check=True, capture_output=True)
    Store(tmp_path / "cache" / "store").put({"kind": "Reply", "base": "b" * 64}, Answer("Yes.", (1,)))
    # What the demo measures is arithmetic of half a minute, and tested with the demo.
    monkeypatch.setattr(demo, "_judged", lambda *_: results)
    return tmp_path


def test_every_command_is_documented_and_tried():
    assert set(leaves()) == set(documented()) == set(LINES)


@pytest.mark.parametrize("name", LINES)
def test_a_command_answers_a_program_with_the_fields_that_are_documented(
    name, here, tiny, reference, capsys, monkeypatch
):
    if name == "fetch":
        monkeypatch.setattr(
            "coherence.engine.artefacts.reference_model.reference_model", lambda *_: reference
        )
    if name == "train":
        main(LINES["distill"])
    line = [str(tiny) if word == "BASE" else word for word in LINES[name]]
    capsys.readouterr()
    code = main([*line, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found.pop("format") == 1
    assert found.pop("command") == name
    assert found.pop("exit") == code
    assert code in (0, 1)
    assert set(found) | ({"found"} if name == "explain" else set()) == documented()[name]


def test_what_people_read_is_the_same_and_elsewhere(here, capsys):
    assert main(["validate", "a.coherence.yaml"]) == 0
    read = capsys.readouterr().out
    assert main(["validate", "a.coherence.yaml", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == read == "1 suite, no problems\n"
    assert json.loads(said.out)["suites"] == ["a.coherence.yaml"]


def test_what_was_found_of_an_assertion_is_there_as_well(here, capsys):
    assert main(["explain", "pirate.margin", "results.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"].startswith("pirate.margin fails: cosine is 0.80")


def test_a_problem_is_an_object_too(here, capsys):
    assert main(["bless", "lost.json", "--json"]) == 4
    said = capsys.readouterr()
    sentence = "lost.json: cannot be read: No such file or directory"
    assert json.loads(said.out) == {"format": 1, "command": "bless", "exit": 4, "error": sentence}
    assert said.err == f"coherence: {sentence}\n"


def test_what_json_does_not_have_is_null_or_written_out():
    fields = {"numbers": (1, 0.5, nan, -inf), "path": Path("a"), "none": None, "yes": True, 1: {"in": [inf]}}
    assert json.loads(Output(fields).written("c")) == {
        "format": 1, "command": "c", "exit": 0, "numbers": [1, 0.5, None, None], "path": "a", "none": None,
        "yes": True, "1": {"in": [None]},
    }  # fmt: skip


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (1, 1), (True, 1)])
def test_a_command_may_return_its_code_alone(returned, code, capsys):
    assert answered(Namespace(json=True, command="c", run=lambda _: returned)) == code
    assert json.loads(capsys.readouterr().out) == {"format": 1, "command": "c", "exit": code}
