"""Asking step by step: what is wanted at once is measured together, and nothing that nobody asked for."""

import time

import pytest

from coherence.plan import AbsentError, Answer, Condition, Record, Reply
from coherence.properties.asking import settled, timed, together
from coherence.vocabulary import Decoding, Probe


def reply(name):
    return Reply(Condition("sys"), Probe(id=name, text=name), Decoding())


RECORD = Record({reply(name): Answer(name, ()) for name in "abcd"})


def asks(*steps, takes=0.0):
    """Ask for replies step by step, and say which texts they had."""
    texts = []
    for step in steps:
        record = yield [reply(name) for name in step]
        texts += [record.reply(reply(name)) for name in step]
        time.sleep(takes)
    return "".join(texts)


def asked(asking):
    """What it asks for, step by step, and what it finds."""
    steps = []
    try:
        steps.append(next(asking))
        while True:
            steps.append(asking.send(RECORD))
    except StopIteration as end:
        names = ["".join(one.probe.id for one in step) for step in steps]
        return names, end.value


def test_what_several_want_is_asked_for_at_once_until_the_last_has_found_it():
    together_ = together([asks("a", "b", "c"), asks(), asks("d", "a"), asks("b")])
    assert asked(together_) == (["adb", "ba", "c"], ["abc", "", "da", "b"])


def test_nobody_asks_for_nothing():
    assert asked(together([])) == ([], [])
    assert asked(together([asks(), asks()])) == ([], ["", ""])


def test_one_record_that_has_everything_settles_it():
    assert settled(asks("ab", "cd"), RECORD) == "abcd"


def test_a_record_says_of_what_it_lacks_that_nobody_has_asked_for_it():
    with pytest.raises(AbsentError):
        settled(asks("z"), RECORD)
    for lookup in (RECORD.reply, RECORD.reasoning, RECORD.ran_on, RECORD.problem):
        with pytest.raises(AbsentError):
            lookup(reply("z"))


def test_the_time_is_that_between_the_steps_and_not_that_of_measuring():
    asking = timed(asks("a", "b", takes=0.02))
    next(asking)
    time.sleep(0.3)
    asking.send(RECORD)
    time.sleep(0.3)
    with pytest.raises(StopIteration) as end:
        asking.send(RECORD)
    text, seconds = end.value.value
    assert text == "ab"
    assert 0.04 <= seconds < 0.3
