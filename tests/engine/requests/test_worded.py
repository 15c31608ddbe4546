"""What users answered stands in conversations before rows are made of them."""

from dataclasses import replace

from conditions import BARE, PROMPT

from coherence.engine.requests.job import Job, waves
from coherence.engine.requests.worded import Worded
from coherence.errors import MeasurementError
from coherence.plan import Answer, Likelihood, Plan, Reading, Reply, Turn, UserTurn, rests_on
from coherence.vocabulary import Decoding, Position, Probe, User

USER = User(model="reference", prompt="You are in a hurry.")
PROBE = Probe(id="parcel", text="Where is it?")
TURNS = (Turn("", user=USER), Turn("Written."), Turn("", user=USER))
TALK = Reply(PROMPT, PROBE, Decoding(), TURNS)
FIRST, SECOND = TALK.user_turns
SAID = {FIRST: Answer("And now?", ()), SECOND: Answer("Thanks.", ())}


def test_users_hear_the_bare_model_whatever_talks():
    assert UserTurn(USER, Reply(BARE, PROBE, Decoding())) == FIRST
    assert SECOND.after == Reply(BARE, PROBE, Decoding(), TURNS[:2])
    assert replace(TALK, condition=BARE).user_turns == TALK.user_turns


def test_what_was_said_is_written_into_all_that_is_about_the_conversation():
    reading = Reading(PROMPT, PROBE, Position.RESPONSE_MEAN, TALK)
    likelihood = Likelihood(BARE, PROBE, TALK)
    whole, named, problems = Worded.of(Job((TALK, reading, likelihood), {**SAID, TALK: Answer("Ok.", (3,))}))
    spelled = replace(TALK, turns=tuple(map(_written, TURNS, ("And now?", "Written.", "Thanks."))))
    assert named == {
        spelled: TALK,
        replace(reading, text=spelled): reading,
        replace(likelihood, text=spelled): likelihood,
    }
    assert whole.known[spelled] == Answer("Ok.", (3,))
    assert not problems


def test_what_a_user_failed_to_say_is_the_problem_of_that_conversation_alone():
    other = Reply(PROMPT, PROBE, Decoding())
    trouble = MeasurementError("says nothing")
    whole, _, problems = Worded.of(Job((TALK, other), {**SAID, SECOND: trouble}))
    assert whole.measurements == (other,)
    assert problems == {TALK: trouble}


def test_a_conversation_comes_after_all_that_its_user_answers_and_no_earlier_answer_of_the_models_own():
    plan = Plan([TALK])
    heard = [replace(TALK, condition=BARE, turns=TURNS[:count]) for count in (0, 1, 2)]
    assert set(plan) == {TALK, FIRST, SECOND, *heard}
    assert set(rests_on(TALK)) == {FIRST, SECOND}
    assert [set(wave) for wave in waves([*plan])] == [
        {heard[0]},
        {FIRST},
        {heard[1], heard[2]},
        {SECOND},
        {TALK},
    ]


def test_what_a_user_hears_has_been_said_when_it_goes_on():
    bare = replace(TALK, condition=BARE)
    assert bare.begun == 3
    assert TALK.begun == 0
    assert not bare.is_changed


def _written(turn: Turn, text: str) -> Turn:
    return replace(turn, text=text)
