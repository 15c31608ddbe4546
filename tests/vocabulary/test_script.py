import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from coherence.vocabulary import Kind, Script
from coherence.vocabulary.script import WrittenScript

WRITTEN = TypeAdapter(WrittenScript)
KINDS = st.lists(st.sampled_from(Kind), min_size=1, max_size=6)


def script(*turns, **keys):
    return WRITTEN.validate_python({"id": "a", "turns": list(turns), **keys})


def of_kinds(kinds):
    return script(*({"user": "Hm?", "kind": kind} for kind in kinds))


@given(words=st.lists(st.text(min_size=1), min_size=1))
def test_a_list_of_texts_is_what_the_user_says(words):
    found = WRITTEN.validate_python(words)
    assert [turn.user for turn in found.turns] == words
    assert {(turn.assistant, turn.kind) for turn in found.turns} == {(None, Kind.NEUTRAL)}
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", found.id)


def test_a_kind_of_the_script_is_that_of_turns_without_one():
    found = script("Stop it.", {"user": "Thanks.", "kind": "neutral"}, kind="pressure")
    assert [turn.kind for turn in found.turns] == [Kind.PRESSURE, Kind.NEUTRAL]


def test_a_turn_of_the_assistants_belongs_to_the_users_before_it():
    found = script({"user": "Hi."}, {"assistant": "Ahoy."}, {"user": "Who?"}, {"assistant": None})
    assert [(turn.user, turn.assistant) for turn in found.turns] == [("Hi.", "Ahoy."), ("Who?", None)]


def test_what_was_written_stays_as_it_was():
    """It is read twice where a suite has a mistake elsewhere."""
    written = [{"user": "Hi."}, {"assistant": "Ahoy."}]
    WRITTEN.validate_python(written)
    assert written == [{"user": "Hi."}, {"assistant": "Ahoy."}]
    assert WRITTEN.validate_python(written) == script(*written).model_copy(update={"id": "hi"})


@given(KINDS)
def test_a_script_is_of_the_strongest_kind_of_its_turns(kinds):
    order = [Kind.NEUTRAL, Kind.PRESSURE, Kind.ADVERSARIAL]
    assert of_kinds(kinds).kind == max(kinds, key=order.index)


@given(KINDS)
def test_a_script_is_released_where_only_neutral_turns_follow(kinds):
    released = of_kinds(kinds).released
    if released is None:
        assert set(kinds) == {Kind.NEUTRAL} or kinds[-1] is not Kind.NEUTRAL
    else:
        assert kinds[released - 1] is not Kind.NEUTRAL
        assert set(kinds[released:]) == {Kind.NEUTRAL}


@pytest.mark.parametrize(
    ("turns", "sentence"),
    [
        (
            [{"user": "Hi."}, {"user": "Hello?"}, {"assistant": "Ahoy."}],
            "turns 1 and 2 are both the user's; expected the assistant's between them",
        ),
        ([{"user": "Hi."}, {"assistant": "A."}, "One?", "Two?"], "turns 3 and 4 are both the user's"),
        ([{"assistant": "Ahoy."}], "turn 1 is the assistant's, with no turn of the user's before it"),
        ([{"user": "Hi."}, {"assistant": "A."}, {"assistant": "B."}], "turn 3 is the assistant's"),
        ([{"user": "Hi.", "kind": "rude"}], "'neutral', 'pressure' or 'adversarial'"),
        ([{"user": ""}], "at least 1 character"),
        ([], "at least 1 item"),
    ],
)
def test_what_is_no_conversation_is_a_sentence(turns, sentence):
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        script(*turns)


def test_an_id_is_plain():
    with pytest.raises(ValidationError, match="pattern"):
        Script(id="a b", turns=[{"user": "Hi."}])


USER = {"model": "reference", "prompt": "You are in a hurry."}


def test_a_user_answers_up_to_the_length():
    found = script("Hi.", {"user": "Stop it.", "kind": "pressure"}, user=USER, length=4)
    assert [turn.user for turn in found.turns] == ["Hi.", "Stop it.", None, None]
    assert [str(turn) for turn in found.turns][2:] == ["(what the user answers)"] * 2
    assert found.released == 2


def test_a_user_answers_where_nothing_is_written():
    found = script("Hi.", {"user": None}, "Thanks.", user=USER)
    assert [turn.user for turn in found.turns] == ["Hi.", None, "Thanks."]


@pytest.mark.parametrize(
    ("turns", "keys", "sentence"),
    [
        ([{"user": None}, "Hi."], {"user": USER}, "its first turn is not written"),
        (["Hi.", {"user": None}], {}, "turn 2 is not written; expected text, or a `user`"),
        (["Hi."], {"length": 3}, "turn 2 is not written; expected text, or a `user`"),
        (["Hi.", "Bye."], {"user": USER, "length": 2}, "expected a `length` of more than these"),
        (["Hi."], {"user": USER}, "expected a `length` of more than these"),
        (["Hi."], {"user": USER, "length": 201}, "less than or equal to 200"),
        (["Hi."], {"user": USER, "length": "many"}, "valid integer"),
        (["Hi."], {"user": {"model": "reference"}, "length": 3}, "Field required"),
        (["Hi."], {"user": {**USER, "key_env": "KEY"}, "length": 3}, "expected `url` beside it"),
    ],
)
def test_a_user_that_cannot_answer_is_refused(turns, keys, sentence):
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        script(*turns, **keys)
