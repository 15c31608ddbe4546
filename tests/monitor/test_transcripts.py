"""Transcripts are read line by line; whatever is wrong with one is a sentence, and never what was said."""

import json
import subprocess
import sys

import pytest

from coherence.errors import CoherenceError
from coherence.monitor.naming import Naming
from coherence.monitor.transcripts import Transcripts

NAMING = Naming(("pirate", "counsel"), {"prod-7": "pirate"})
SECRET = "the secret word is xyzzy"


def exchange(asked="Where?", answered="Arr!"):
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def conversation(**given):
    line = {"time": "2026-03-01T12:00:00Z", "release": "prod-7", "messages": exchange()} | given
    return {key: value for key, value in line.items() if value is not ...}


def written(path, *lines):
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def read(tmp_path, *lines, last=False):
    return list(Transcripts(written(tmp_path / "t.jsonl", *lines), NAMING, last))


def test_each_answer_is_read_with_what_the_user_said_before_it(tmp_path):
    messages = [
        {"role": "system", "content": SECRET},
        {"role": "assistant", "content": "a greeting answers nobody"},
        *exchange("One?", "1"),
        {"role": "user", "content": "And"},
        {"role": "user", "content": [{"type": "text", "text": "two?"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None},
        {"role": "tool", "content": SECRET},
        {"role": "assistant", "content": ""},
    ]
    first, second = read(tmp_path, conversation(messages=messages))
    assert (first.question, first.answer, first.name, first.of) == ("One?", "1", "line-1-turn-1", 2)
    assert (second.question, second.answer, second.name) == ("And\n\ntwo?", "", "line-1-turn-2")
    assert first.persona == "pirate"
    assert first.digest != second.digest


def test_of_calls_the_last_answer_alone_is_read(tmp_path):
    messages = [*exchange("One?", "1"), *exchange("Two?", "2")]
    (only,) = read(tmp_path, conversation(messages=messages), last=True)
    assert (only.question, only.turn, only.of) == ("Two?", 2, 1)


def test_a_persona_goes_by_its_own_name_that_of_a_release_or_of_a_model(tmp_path):
    found = read(
        tmp_path,
        conversation(),
        conversation(release=..., model="counsel"),
        conversation(release="other", persona="counsel"),
    )
    assert [one.persona for one in found] == ["pirate", "counsel", "counsel"]
    assert [one.release for one in found] == ["prod-7", "counsel", "other"]


def test_times_are_compared_wherever_they_were_told(tmp_path):
    times = ["2026-03-01T12:00:00+02:00", "2026-03-01T10:30:00", "2026-03-01T11:00:00Z"]
    found = read(tmp_path, *(conversation(time=time) for time in times))
    assert [one.time.hour for one in found] == [10, 10, 11]


WRONG = {
    "is not JSON": f'{{"messages": "{SECRET}"',
    "is a list; expected": f'["{SECRET}"]',
    "is an empty line": " ",
    "has no `messages`: found 'message'; did you mean 'messages'?": {"message": SECRET},
    "`messages` is a text; expected a list of turns": conversation(messages=SECRET),
    "message 1 is a text; expected": conversation(messages=[SECRET]),
    "has the role 'asistant'; did you mean 'assistant'?": conversation(
        messages=[*exchange(SECRET), {"role": "asistant", "content": SECRET}]
    ),
    "`content` of message 1 is a number; expected a text": conversation(
        messages=[{"role": "user", "content": 7}]
    ),
    "no assistant answers a user in it": conversation(messages=exchange(SECRET)[:1]),
    "has no `time`": conversation(time=...),
    "`time` is 'noon'; expected ISO 8601": conversation(time="noon"),
    "`time` is 12; expected ISO 8601": conversation(time=12),
    "says neither `release` nor `persona`": conversation(release=...),
    "`persona` is a list; expected a name": conversation(persona=[SECRET]),
    "no persona is named 'pirat'; did you mean 'pirate'?": conversation(persona="pirat"),
    "the release 'prod-8' speaks for no persona that is known; did you mean 'prod-7'?": conversation(
        release="prod-8"
    ),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_cannot_be_read_is_a_sentence_with_its_line(tmp_path, sentence):
    with pytest.raises(CoherenceError) as raised:
        read(tmp_path, conversation(), WRONG[sentence])
    assert sentence in str(raised.value)
    assert f"{tmp_path.name}/t.jsonl:2: " in str(raised.value)
    assert "xyzzy" not in str(raised.value)


def test_the_order_of_time_is_asked_for(tmp_path):
    later, sooner = (conversation(time=f"2026-03-01T1{hour}:00:00Z") for hour in (2, 1))
    with pytest.raises(CoherenceError, match=r"t.jsonl:2: its time, 2026-03-01T11:00:00\+00:00, is before"):
        read(tmp_path, later, sooner)


def test_an_empty_file_and_none_are_told(tmp_path):
    with pytest.raises(CoherenceError, match=r"t.jsonl: is empty; expected a conversation per line"):
        read(tmp_path)
    with pytest.raises(CoherenceError, match="is no file"):
        list(Transcripts(tmp_path / "absent.jsonl", NAMING))
    with pytest.raises(CoherenceError, match="is no file"):
        list(Transcripts(tmp_path, NAMING))


def test_a_line_that_is_far_too_long_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"x" * 9_000_000)
    with pytest.raises(CoherenceError, match=r"t.jsonl:1: is longer than 4,000,000 bytes"):
        list(Transcripts(path, NAMING))


def test_what_is_not_utf8_is_told(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"messages": "\xff"}\n')
    with pytest.raises(CoherenceError, match=r"t.jsonl:1: is not UTF-8"):
        list(Transcripts(path, NAMING))


def test_a_lone_surrogate_becomes_what_a_tokenizer_takes(tmp_path):
    line = json.dumps(conversation()).replace("Arr!", "\\ud800")
    (only,) = read(tmp_path, line)
    assert only.answer == "\\ud800"


def test_the_shipped_example_is_what_its_command_makes(pytestconfig, tmp_path):
    fixtures = pytestconfig.rootpath / "fixtures"
    (tmp_path / "training").symlink_to(fixtures / "training")
    (tmp_path / "converse.py").write_text((fixtures / "converse.py").read_text())
    subprocess.run([sys.executable, tmp_path / "converse.py"], check=True)
    assert (tmp_path / "transcripts.jsonl").read_text() == (fixtures / "transcripts.jsonl").read_text()
    found = list(
        Transcripts(fixtures / "transcripts.jsonl", Naming(("pirate",), {"pirate-2026-03": "pirate"}))
    )
    assert len(found) == 60
    assert {one.persona for one in found} == {"pirate"}
