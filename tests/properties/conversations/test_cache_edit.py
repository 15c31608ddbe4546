import re

import pytest
from conversations import PLAIN, SHIP, SITE, scene, scripts, world
from looked import takes_what_it_needs
from pydantic import ValidationError

from coherence.errors import SuiteError
from coherence.plan import Reply
from coherence.properties.conversations.cache_edit import CacheEdited
from coherence.vocabulary import Verdict


def edit(**fields):
    asked = {"property": "cache_edit", "personas": ["pirate"], "regimes": ["adapter"], "site": SITE}
    return CacheEdited.model_validate(asked | {"sites": "resid_post.0..8"} | fields)


def case_of(on=None, **fields):
    (case,) = edit(**fields).cases(on or scene())
    return case


def judged(moved=0.0, own=0.0, scatter=0.0, **fields):
    """The donor's keys and values move the next answer with every block, and its own should not."""
    case = case_of(**fields)

    def where(reading):
        change = reading.text.turns[-1].edit if reading.text.turns else None
        if change is None:
            return 1.0
        if change.donor == reading.condition:
            return 1.0 + own
        return 1.0 + moved * len(change.sites) / 9 + scatter * (int(reading.probe.id[1:]) - 2.5)

    def says(reply):
        change = reply.turns[-1].edit if reply.turns else None
        return "plain" if change and change.donor == PLAIN and moved else "pirate"

    return case.judge(world(case, where, says), seed=0)


def test_a_persona_that_does_not_hang_on_its_cache_stays():
    evidence = judged(moved=-0.05, max_shift=0.1)
    assert evidence.verdict is Verdict.PASS
    assert [criterion.key for criterion in evidence.criteria] == ["tolerance", "max_shift"]


@pytest.mark.parametrize("moved", [-0.6, 0.6])
def test_one_that_does_is_moved_either_way(moved):
    evidence = judged(moved=moved, max_shift=0.1)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.estimate.value == pytest.approx(moved, abs=0.01)
    assert judged(moved=moved, min_shift=0.4).verdict is Verdict.PASS


def test_an_edit_that_should_move_and_does_not_fails():
    evidence = judged(moved=0.05, min_shift=0.4)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.key == "min_shift"


def test_scripts_that_disagree_decide_nothing():
    assert judged(moved=-0.1, scatter=0.1, max_shift=0.15).verdict is Verdict.INCONCLUSIVE


def test_a_cache_that_is_given_its_own_and_moves_fails_whatever_the_donor_does():
    evidence = judged(own=0.01, max_shift=0.1)
    assert evidence.verdict is Verdict.FAIL
    assert evidence.decisive.law
    assert evidence.decisive.estimate.value == pytest.approx(0.01, rel=0.05)


def test_parts_of_the_sites_are_shown_by_themselves():
    evidence = judged(moved=-0.9, max_shift=0.1)
    (table,) = evidence.tables
    assert table.rows == ("resid_post.0..2", "resid_post.3..5", "resid_post.6..8", "resid_post.0..8")
    shown = dict(zip(table.columns, zip(*table.cells, strict=True), strict=True))
    assert shown["shift"] == pytest.approx([-0.3, -0.3, -0.3, -0.9], abs=0.01)
    assert shown["markers"] == shown["same answer"] == (0, 0, 0, 0)
    assert evidence.notes == ("a marker is in 100% of the answers, edited in 0%; 0% stay the same",)
    assert evidence.probes[0].replies == {"as it is": "pirate", "edited": "plain"}


def test_every_question_is_asked_after_every_script():
    case = case_of(asked=["Who are you?", "What are you?"], parts=1, max_shift=0.1)
    replies = [need for need in case.plain.needs(case.axis.site) if isinstance(need, Reply)]
    assert len(replies) == 6 * 2
    assert {reply.turns[-1].text for reply in replies} == {"Who are you?", "What are you?"}
    assert {len(reply.turns) for reply in replies} == {5}
    assert [str(band) for band in case.spec.bands()] == ["resid_post.0..8"]


def answered(script):
    """What the assistant is taken to answer to its last turn."""
    *before, last = script.turns
    return script.model_copy(update={"turns": (*before, last.model_copy(update={"assistant": "Arr."}))})


def test_a_question_follows_the_answer_that_was_written_for_the_last_turn():
    case = case_of(scene(tuple(map(answered, scripts()))), max_shift=0.1)
    assert {reply.turns[-1].after for reply in case.plain.replies} == {"Arr."}


def test_the_donor_may_be_another_persona():
    case = case_of(donor="adapter", donor_persona="counsel", max_shift=0.1)
    assert case.slug == "adapter-given-counsel-adapter"
    assert case.donor.adapters == (("counsel", 1.0),)
    case = case_of(regimes=["bare"], donor="adapter", max_shift=0.1)
    assert (case.plain.conversations.condition, case.donor) == (PLAIN, SHIP)


def test_what_is_needed_is_what_is_taken_and_once():
    case = case_of(max_shift=0.1)
    takes_what_it_needs(case, world(case, lambda reading: 1.0))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "nothing is asserted; expected at least one of max_shift, min_shift"),
        ({"max_shift": 0.1, "parts": 10}, "10 parts of resid_post.0..8, which has 9"),
    ],
)
def test_keys_that_ask_for_nothing_are_a_sentence(fields, sentence):
    with pytest.raises(ValidationError, match=re.escape(sentence)):
        edit(**fields)


@pytest.mark.parametrize(
    ("fields", "given", "sentence"),
    [
        ({}, scripts(3), "cache_edit needs at least 4 scripts, and the suite has 3"),
        (
            {"regimes": ["bare"]},
            scripts(),
            "cache_edit found no persona with a regime beside the donor's, bare",
        ),
        (
            {"donor": "adapter", "donor_persona": "counsul"},
            scripts(),
            "no persona is named 'counsul'; did you",
        ),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(fields, given, sentence):
    with pytest.raises(SuiteError, match=re.escape(sentence)):
        edit(max_shift=0.1, **fields).cases(scene(given))
