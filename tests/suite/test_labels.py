"""Labelled replies: in a suite, and in JSONL files that it names; and the folder of a judge."""

import json
from pathlib import Path

import pytest

from coherence.errors import SuiteError

LINES = [
    {"persona": "pirate", "question": f"{number}?", "reply": "So.", "met": met}
    for number in range(8)
    for met in (True, False)
]


def suite(labels: object, **judge: str) -> str:
    assertion = {
        "property": "judged",
        "judge": judge or {"model": "reference"},
        "rubrics": {"pirate": "Arr."},
        "labels": labels,
        "regimes": ["prompt"],
        "min_rate": 0.5,
    }
    written = {
        "coherence": 1,
        "personas": {"pirate": {"prompt": "Arr."}},
        "probes": [*"abcdefgh"],
        "assertions": [assertion],
    }
    return json.dumps(written, indent=1)


def written_out(lines):
    return "\n".join(map(json.dumps, lines)) + "\n"


def test_labels_come_from_a_file_or_stand_in_the_suite(write, load):
    write(written_out(LINES), "more/labels.jsonl")
    (there,) = load(suite("more/labels.jsonl")).assertions
    (here,) = load(suite(LINES)).assertions
    assert there.property.labels == here.property.labels
    assert [one.met for one in there.property.labels] == [True, False] * 8


def test_the_folder_of_a_judge_is_beside_the_suite_and_a_servers_name_is_none(load, tmp_path):
    (tmp_path / "judge").mkdir()
    (local,) = load(suite(LINES, model="judge")).assertions
    assert Path(local.property.judge.model) == tmp_path / "judge"
    (served,) = load(suite(LINES, model="judge", url="http://127.0.0.1:1")).assertions
    assert served.property.judge.model == "judge"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("\n", 'labels.jsonl:1: the file is empty; expected lines such as {"persona": "pirate"'),
        ("nonsense\n", 'labels.jsonl:1: expected JSON such as {"persona": "pirate"'),
        (
            written_out([*LINES, {**LINES[0], "met": "perhaps"}]),
            "labels.jsonl:17: assertions[0].labels",
        ),
        (written_out([{**LINES[0], "mett": True}]), "labels.jsonl:1: unknown key 'mett'"),
    ],
)
def test_a_broken_file_is_told_with_its_line(write, refused, lines, message):
    write(lines, "labels.jsonl").write_text(lines)
    assert refused(suite("labels.jsonl")).startswith(message)


def test_a_file_that_is_not_there_is_told_where_it_is_named(refused):
    assert "there is no file gone.jsonl" in refused(suite("gone.jsonl"))


def test_a_persona_that_nobody_is_is_said(load):
    with pytest.raises(SuiteError, match="no persona is named 'pirat'; did you mean 'pirate'"):
        load(suite([*LINES, {**LINES[0], "persona": "pirat"}]))
