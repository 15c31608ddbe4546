import numpy as np
import pytest
from drifting import SCRIPTS, TURNS, WIDTH, scene, script

from coherence.errors import SuiteError
from coherence.plan import Answer, Cache, Record
from coherence.properties.conversations.axis import Scale
from coherence.properties.conversations.conversations import Conversations, require_scripts
from coherence.vocabulary import Marker, Position, Script, Site, User

SITE = Site.parse("resid_post.1")
GIVEN = Script(
    id="given",
    turns=[{"user": "Hi."}, {"user": "Who?", "assistant": "Nobody."}, {"user": "Really?"}],
)


def conversations(*scripts):
    return Conversations(scene(), scripts or SCRIPTS, scene().bare)


def test_a_reply_says_all_that_the_user_said_before():
    reply = conversations().reply(SCRIPTS[1], 3)
    assert (reply.probe.id, reply.probe.text) == ("script-1", "Turn 0 of 1?")
    assert [turn.text for turn in reply.turns] == ["Turn 1 of 1?", "Turn 2 of 1?", "Turn 3 of 1?"]
    assert {turn.after for turn in reply.turns} == {None}
    assert reply.condition == scene().bare


def test_replies_of_a_script_are_one_conversation():
    found = conversations()
    first, *_, last = (found.reply(SCRIPTS[0], turn) for turn in range(TURNS))
    assert last.conversation == tuple(found.reply(SCRIPTS[0], turn) for turn in range(TURNS))
    assert first.turns == ()


def test_what_the_assistant_is_taken_to_have_said_stands_before_the_next_turn():
    found = conversations(GIVEN)
    assert list(found.replies) == [(0, 0), (0, 2)]
    assert [(turn.text, turn.after) for turn in found.reply(GIVEN, 2).turns] == [
        ("Who?", None),
        ("Really?", "Nobody."),
    ]


def test_every_answer_is_read_while_it_is_said():
    readings = conversations().readings(SITE, cache=Cache.KEPT)
    assert list(readings) == [(row, turn) for row in range(len(SCRIPTS)) for turn in range(TURNS)]
    for place, reading in readings.items():
        assert reading.text == conversations().replies[place]
        assert (reading.position, reading.through, reading.cache) == (
            Position.RESPONSE_MEAN,
            SITE,
            Cache.KEPT,
        )
        assert reading.is_captured


def test_positions_are_laid_out_by_script_and_turn():
    found = conversations(GIVEN, script(1, turns=2))
    values = {
        reading: np.full((3, WIDTH), 10 * row + turn, np.float32)
        for (row, turn), reading in found.readings(SITE).items()
    }
    scale = Scale(np.zeros((4, WIDTH)), np.ones((4, WIDTH)), list("abcd"))
    positions = found.positions(Record(values), scale, SITE)
    assert positions == pytest.approx(np.array([[0, np.nan, 2], [10, 11, np.nan]]), nan_ok=True)


def test_hits_are_laid_out_by_script_and_turn():
    found = conversations(GIVEN, script(1, turns=2))
    texts = {(0, 0): "Arr!", (0, 2): "Hello.", (1, 0): "Ahoy.", (1, 1): "No."}
    record = Record({reply: Answer(texts[place], (1,)) for place, reply in found.replies.items()})
    hits = found.hits(found.texts(record), [Marker(text="arr"), Marker(text="ahoy")])
    assert hits == pytest.approx(np.array([[1, np.nan, 0], [1, 0, np.nan]]), nan_ok=True)


def test_too_few_scripts_or_answers_are_a_sentence():
    require_scripts(SCRIPTS, 8, "drift")
    with pytest.raises(SuiteError, match="drift needs at least 9 scripts, and the suite has 8 for it"):
        require_scripts(SCRIPTS, 9, "drift")
    with pytest.raises(
        SuiteError, match="answers 2 of the turns of the script 'given'; drift needs at least 3"
    ):
        require_scripts([GIVEN], 1, "drift", turns=3)


def test_a_user_answers_where_nothing_is_written():
    user = User(model="reference", prompt="You are in a hurry.")
    talk = Script(id="free", turns=[{"user": "Hi."}, {"user": None}, {"user": "Bye."}], user=user)
    found = conversations(talk)
    turns = found.reply(talk, 2).turns
    assert [(turn.text, turn.user) for turn in turns] == [("", user), ("Bye.", None)]
    (user_turn,) = found.user_turns
    record = Record({user_turn: Answer("And now?", ())})
    assert [found.asked(record, 0, turn) for turn in range(3)] == ["Hi.", "And now?", "Bye."]
