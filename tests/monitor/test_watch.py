"""Transcripts held against the personas of a suite, on the tiny model and on made-up numbers."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from coherence.cli import main
from coherence.engine.engine import Engine
from coherence.results import Results
from coherence.store import Store

SUITE = """\
coherence: 1
release:
  base: {base}
  served: {{url: "http://127.0.0.1:9", names: {{pirate: pirate-v3}}}}
  adapters: {{pirate: {adapter}}}
personas:
  pirate: {{prompt: Talk like a pirate., markers: [{{text: "[a-z]", kind: regex}}]}}
  counsel: {{prompt: Be formal.}}
  mute: {{}}
probes: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t]
decoding: {{max_new_tokens: 4}}
"""
SECRET = "xyzzy"


@pytest.fixture
def here(tiny, tiny_adapter, tmp_path, monkeypatch):
    """A folder with a suite, whose base is the tiny model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERENCE_CACHE", str(tmp_path / "cache"))
    Path("a.coherence.yaml").write_text(SUITE.format(base=tiny, adapter=tiny_adapter("pirate")))
    return tmp_path


def transcripts(path, answers, turns=1, **given):
    """Write conversations of so many turns, a minute apart."""
    lines = []
    for count in range(0, len(answers), turns):
        time = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=count)
        messages = []
        for place, answer in enumerate(answers[count : count + turns]):
            messages.append({"role": "user", "content": f"{SECRET}? {count + place}"})
            messages.append({"role": "assistant", "content": answer})
        lines.append(
            json.dumps({"time": time.isoformat(), "release": "pirate-v3", "messages": messages} | given)
        )
    path.write_text("\n".join(lines) + "\n")


def monitored(*options):
    """Run the command on t.jsonl."""
    return main(["monitor", "t.jsonl", "--suite", "a.coherence.yaml", "--site", "resid_post.2", *options])


def test_a_run_leaves_numbers_and_digests_and_no_word(here, capsys):
    transcripts(Path("t.jsonl"), [f"{SECRET} answer {count}" for count in range(12)], turns=3)
    views = ["--html", "r.html", "--junit", "r.xml", "--markdown", "r.md", "--turns", "turns.jsonl"]
    assert monitored(*views) in (0, 1)
    said = capsys.readouterr()
    written = [
        *here.glob("cache/**/*"),
        *(Path(name) for name in views[1::2]),
        Path("coherence-monitor.json"),
    ]
    files = [file for file in written if file.is_file()]
    assert len(files) > 20
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []
    assert SECRET not in said.out + said.err
    (result,) = Results.read(Path("coherence-monitor.json")).assertions
    assert result.id == "pirate.monitor.turns"
    assert {one.key for one in result.evidence.criteria} == {"false_alarm"}
    assert result.evidence.criteria[0].estimate.of == "turns"
    lines = [json.loads(line) for line in Path("turns.jsonl").read_text().splitlines()]
    assert [(line["line"], line["turn"]) for line in lines] == [
        (a, b) for a in range(1, 5) for b in (1, 2, 3)
    ]
    assert (
        "coherence monitor t.jsonl --suite a.coherence.yaml --site resid_post.2" in Path("r.html").read_text()
    )


def test_words_are_kept_where_that_is_asked(here):
    transcripts(Path("t.jsonl"), [f"{SECRET} answer {count}" for count in range(12)])
    monitored("--keep-text", "--turns", "turns.jsonl", "--html", "r.html")
    lines = [json.loads(line) for line in Path("turns.jsonl").read_text().splitlines()]
    assert lines[3]["user"] == f"{SECRET}? 3"
    assert lines[3]["assistant"] == f"{SECRET} answer 3"


def test_what_was_read_is_not_read_again(here, monkeypatch):
    transcripts(Path("t.jsonl"), [f"answer {count}" for count in range(12)])
    monitored("--turns", "first.jsonl")

    def unable(*_):
        raise AssertionError

    monkeypatch.setattr(Engine, "_measured", unable)
    monitored("--turns", "second.jsonl")
    assert Path("first.jsonl").read_bytes() == Path("second.jsonl").read_bytes()


KILLED = """\
import os, signal, sys
import coherence.monitor.portions as portions
from coherence.cli import main
portions.SIZE = 4
done = portions.Portions._portion
count = 0
def portion(self, some, keys):
    global count
    count += 1
    if count == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return done(self, some, keys)
portions.Portions._portion = portion
main(["monitor", "t.jsonl", "--suite", "a.coherence.yaml", "--site", "resid_post.2"])
"""


def test_a_run_that_was_killed_goes_on(here, monkeypatch):
    transcripts(Path("t.jsonl"), [f"answer {count}" for count in range(12)])
    killed = subprocess.run([sys.executable, "-c", KILLED], env=dict(os.environ), capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    monkeypatch.setattr("coherence.monitor.portions.SIZE", 4)
    measured, measure = [], Engine._measured

    def counted(self, missing, *others):
        measured.extend(missing)
        return measure(self, missing, *others)

    monkeypatch.setattr(Engine, "_measured", counted)
    monitored()
    heard = {one.probe.id for one in measured if one.probe.id.startswith("line-")}
    assert heard == {f"line-{line}-turn-1" for line in range(9, 13)}


def test_a_turn_that_is_too_long_for_the_window_is_told_and_left_out(here, capsys):
    transcripts(Path("t.jsonl"), [f"answer {count}" for count in range(12)])
    lines = Path("t.jsonl").read_text().splitlines()
    lines[5] = lines[5].replace(f"{SECRET}? 5", f"{SECRET} " * 3000)
    Path("t.jsonl").write_text("\n".join(lines))
    monitored("--turns", "turns.jsonl")
    first = capsys.readouterr().err
    assert "t.jsonl: line-6-turn-1 could not be read: " in first
    assert "are more than the model's window of" in first
    assert SECRET not in first
    turns = [json.loads(line) for line in Path("turns.jsonl").read_text().splitlines()]
    assert [turn["line"] for turn in turns if turn["position"] is None] == [6]
    monitored()
    assert "line-6-turn-1 could not be read: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        ({"persona": "mute"}, [], "persona 'mute' has no prompt, and where it is at home is learnt from"),
        ({"persona": "pirat"}, [], "t.jsonl:1: no persona is named 'pirat'; did you mean 'pirate'?"),
        ({}, ["--release", "x=pirat"], "--release x=pirat: no persona is named 'pirat'; did you mean"),
    ],
)
def test_what_cannot_be_is_a_sentence_before_a_model_is_loaded(here, capsys, given, options, sentence):
    transcripts(Path("t.jsonl"), ["yes"], **given)
    assert monitored(*options) == 4
    assert sentence in capsys.readouterr().err
    assert not list(here.glob("cache/**/*.safetensors"))


def test_a_suite_without_a_site_needs_one(here, capsys):
    transcripts(Path("t.jsonl"), ["yes"])
    assert main(["monitor", "t.jsonl", "--suite", "a.coherence.yaml"]) == 4
    assert "has no assertion with a `site`; expected --site" in capsys.readouterr().err


def test_too_few_turns_to_be_told_from_others_decide_nothing_quietly(here):
    transcripts(Path("t.jsonl"), ["yes"])
    assert monitored() == 1
    (result,) = Results.read(Path("coherence-monitor.json")).assertions
    assert result.verdict.value in ("inconclusive", "fail")


def test_more_turns_than_a_portion_are_read_in_bounded_memory(here, monkeypatch):
    most, measure = [0], Engine.measure

    def counted(self, plan, *others):
        heard = sum(one.probe.id.startswith("line-") for one in plan)
        most[0] = max(most[0], heard)
        return measure(self, plan, *others)

    monkeypatch.setattr("coherence.monitor.portions.SIZE", 8)
    monkeypatch.setattr(Engine, "measure", counted)
    transcripts(Path("t.jsonl"), [f"answer {count}" for count in range(30)])
    monitored()
    assert most[0] == 24


def test_what_is_heard_is_stored_nowhere_by_the_engine(here):
    transcripts(Path("t.jsonl"), [f"answer {count}" for count in range(3)])
    monitored()
    store = Store(here / "cache" / "store")
    kinds = [json.loads(json.dumps(_kind(entry.path))) for entry in store.entries()]
    assert kinds.count("Heard") == 2


def _kind(path):
    from coherence.store.entry import read_key

    return read_key(path)["kind"]


def test_numbers_survive_the_store(here):
    transcripts(Path("t.jsonl"), ["answer", "", "other"])
    monitored("--turns", "turns.jsonl")
    empty = json.loads(Path("turns.jsonl").read_text().splitlines()[1])
    assert (empty["position"], empty["recognition"], empty["markers"]) == (None, None, 0.0)
    assert np.isfinite(json.loads(Path("turns.jsonl").read_text().splitlines()[0])["likelihood"])


def test_what_was_found_is_explained_though_no_suite_states_it(here, capsys):
    transcripts(Path("t.jsonl"), ["yes"])
    monitored()
    capsys.readouterr()
    assert main(["explain", "pirate.monitor.turns", "coherence-monitor.json"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("pirate.monitor.turns ")
    assert "any more" not in said
