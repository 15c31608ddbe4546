"""`coherence judge check`: models that are no judges are said to be none, and what they say is stored."""

import json
from pathlib import Path

import pytest
from tiny import write_judged

from coherence.cli import main
from coherence.store import Store

LABELS = Path(__file__).parents[2] / "fixtures" / "labels" / "company.jsonl"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(capsys, suite="a.coherence.yaml"):
    """Return the exit code, and what programs and people read."""
    capsys.readouterr()
    code = main(["judge", "check", suite, "--store", "store", "--json"])
    output = capsys.readouterr()
    return code, json.loads(output.out), output.err


def test_a_tiny_model_says_nothing_that_is_a_score(here, tiny, capsys):
    write_judged(Path("a.coherence.yaml"), tiny)
    code, answer, page = checked(capsys)
    (judge,) = answer["judges"]
    assert code == 1
    assert judge["unfit"].startswith("the judge gives no score to 16 of 16 labelled replies: ")
    assert judge["unread"]["prose"] + judge["unread"].get("nothing", 0) == 32
    assert judge["unfit"] in page
    stored = len(Store(here / "store").entries())
    assert checked(capsys)[1] == answer
    assert len(Store(here / "store").entries()) == stored


def test_the_reference_model_is_a_bad_judge(here, reference, capsys):
    """By eight replies of either kind, of pirates and of others, that no person confuses."""
    write_judged(Path("a.coherence.yaml"), reference)
    lines = [line for line in LABELS.read_text().splitlines() if json.loads(line)["persona"] == "pirate"]
    of_kind = {met: [one for one in lines if json.loads(one)["met"] is met][:8] for met in (True, False)}
    Path("labels.jsonl").write_text("\n".join([*of_kind[True], *of_kind[False]]))
    suite = json.loads(Path("a.coherence.yaml").read_text())
    suite["assertions"][0]["rubrics"] = {"pirate": "A pirate says it."}
    Path("a.coherence.yaml").write_text(json.dumps(suite))
    code, answer, page = checked(capsys)
    (judge,) = answer["judges"]
    assert code == 1
    assert judge["labels"] == 16
    assert judge["changed"] == 0
    assert judge["unfit"]
    assert "the same by 1 wordings of the rubric: one wording alone" in page


def test_a_suite_without_a_judge_is_said(here, tiny, capsys):
    Path("a.coherence.yaml").write_text(
        f"coherence: 1\nrelease: {{base: {tiny}, adapters: {{pirate: org/lora}}}}\n"
        "personas: {pirate: {prompt: Arr.}}\nprobes: [a]\nassertions: [{property: commutativity}]\n"
    )
    assert main(["judge", "check", "a.coherence.yaml"]) == 4
    assert "asserts nothing by a judge; expected an assertion of `judged`" in capsys.readouterr().err
