"""Training data, written and read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.errors import ArtefactError
from coherence.plan import Condition
from coherence.training.pairs import Pair, read_pairs, written_out

BARE = Condition("You are a helpful assistant.")
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40).filter(str.strip)


@given(
    st.lists(st.builds(Pair, TEXTS, TEXTS), min_size=1, max_size=5), st.sampled_from([BARE, Condition(None)])
)
def test_what_is_written_is_read_again(tmp_path_factory, pairs, bare):
    path = tmp_path_factory.mktemp("data") / "a.jsonl"
    path.write_text(written_out(pairs, bare), encoding="utf-8")
    assert read_pairs(path, bare) == pairs


def test_a_line_is_a_conversation_as_trainers_read_them():
    (line,) = written_out([Pair("Why?", "Arr, matey.")], BARE).splitlines()
    assert json.loads(line) == {
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "Arr, matey."},
        ]
    }
    (line,) = written_out([Pair("Why?", "Arr.")], Condition(None)).splitlines()
    assert [turn["role"] for turn in json.loads(line)["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize(
    "line",
    [
        "Why?",
        '{"question": "Why?", "reply": "Arr."}',
        '{"messages": []}',
        '{"messages": [{"role": "user", "content": "Why?"}]}',
        '{"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": 7}]}',
        '{"messages": [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": " "}]}',
        '{"messages": ["Why?", "Arr."]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_conversation_is_named_with_its_line(tmp_path, line):
    path = tmp_path / "a.jsonl"
    path.write_text(f"{written_out([Pair('Why?', 'Arr.')], BARE)}\n{line}\n")
    with pytest.raises(ArtefactError, match=r'a\.jsonl:3: expected \{"messages": '):
        read_pairs(path, BARE)


def test_replies_to_another_system_turn_are_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(written_out([Pair("Why?", "Arr.")], Condition("You are a pirate.")))
    with pytest.raises(
        ArtefactError, match=r"a\.jsonl:1: the conversation has other turns than .* a helpful"
    ):
        read_pairs(path, BARE)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read: No such file"), (b"\n\n", "is empty; expected a"), (b"\xff", "is not UTF-8")],
)
def test_a_file_that_holds_none_is_a_sentence(tmp_path, content, said):
    path = tmp_path / "a.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtefactError, match=said):
        read_pairs(path, BARE)
