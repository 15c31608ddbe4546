import re

import pytest
from conversations import PLAIN, SHIP, SITE, scene, scripts, world
from pydantic import ValidationError

from coherence.errors import SuiteError
from coherence.plan import Cache
from coherence.properties.conversations.handover import Handover
from coherence.vocabulary import Verdict


def handover(**fields):
    asked = {"property": "handover", "personas": ["pirate"], "changes": [["adapter", "bare"]], "site": SITE}
    return Handover.model_validate(asked | fields)


def case_of(on=None, **fields):
    (case,) = handover(**fields).cases(on or scene())
    return case


def judged(text=0.0, cache=0.0, still=1.0, scatter=0.0, **fields):
    """The text and the cache carry something of a persona that otherwise has `still`; scripts may differ."""
    case = case_of(**fields)

    def where(reading):
        turns = reading.text.turns
        made = next((turn.cache for turn in turns if turn.condition), None)
        own = scatter * (int(reading.probe.id[1:]) - 2.5)
        if made is None:
            return 0.0 if reading.condition == PLAIN else still
        return text + own + cache * (made is Cache.KEPT)

    return case.judge(world(case, where), seed=0)


def test_a_change_that_leaves_nothing_behind_passes():
    evidence = judged(max_carried=0.1, max_text=0.1, max_cache=0.1)
    assert evidence.verdict is Verdict.PASS
    assert [criterion.key for criterion in evidence.criteria] == ["max_carried", "max_text", "max_cache"]


@pytest.mark.parametrize(
    ("text", "cache", "failing"),
    [(0.5, 0.0, {"max_carried", "max_text"}), (0.0, -0.5, {"max_carried", "max_cache"}),
     (0.5, -0.5, {"max_text", "max_cache"})],
)  # fmt: skip
def test_what_is_carried_is_told_apart(text, cache, failing):
    evidence = judged(text, cache, max_carried=0.1, max_text=0.1, max_cache=0.1)
    assert {one.key for one in evidence.criteria if one.verdict is Verdict.FAIL} == failing
    found = {one.key: one.estimate.value for one in evidence.criteria}
    expected = {"max_carried": text + cache, "max_text": text, "max_cache": cache}
    assert found == pytest.approx(expected, abs=0.01)


def test_scripts_that_disagree_decide_nothing():
    evidence = judged(text=0.1, scatter=0.1, max_text=0.15)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.decisive.estimate.n == 6


def test_where_the_conditions_do_the_same_there_is_nothing_to_be_carried():
    evidence = judged(still=0.0, max_carried=0.1)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.decisive.unreliable.startswith("there is nothing to be carried: still under it - never")


def test_turns_before_the_change_are_drawn_and_not_judged():
    evidence = judged(text=0.5, cache=0.2, max_carried=0.1, at=4)
    assert evidence.curve.over.title == "turn"
    assert evidence.curve.series["and the cache"].values == pytest.approx([1, 1, 1, 0.7, 0.7], abs=0.02)
    assert evidence.curve.series["never under it"].values == pytest.approx([0] * 5, abs=0.02)
    (table,) = evidence.tables
    assert table.rows == ("turn 4", "turn 5")
    assert evidence.decisive.estimate.value == pytest.approx(0.7, abs=0.01)


def test_a_prompt_that_is_taken_away_takes_the_cache_with_it():
    evidence = judged(text=0.5, max_carried=0.1, max_cache=0.1, changes=[["prompt", "bare"]])
    assert [one.key for one in evidence.criteria] == ["max_carried"]
    assert "and the cache" not in evidence.curve.series
    assert evidence.notes[-1].startswith("the prompts differ, so that the cache cannot be kept")


def test_conversations_before_the_change_are_those_that_are_not_changed():
    case = case_of(max_carried=0.1)
    still, never, rebuilt, kept = (talk.conversations for talk in case.talks.values())
    script = case.still.scripts[0]
    assert still.reply(script, 1) == rebuilt.reply(script, 1) == kept.reply(script, 1)
    assert never.reply(script, 1).condition == PLAIN
    changed = kept.reply(script, 4)
    assert changed.condition == SHIP
    assert [turn.condition for turn in changed.turns] == [None, PLAIN, None, None]
    assert [turn.cache for turn in rebuilt.reply(script, 2).turns] == [Cache.KEPT, Cache.REBUILT]


def test_another_personas_adapter_may_take_over():
    case = case_of(changes=[["adapter", "adapter"]], into="counsel", max_carried=0.1)
    assert case.slug == "adapter-to-counsel-adapter"
    assert case.never.condition.adapters == (("counsel", 1.0),)
    assert case.axis.persona == "pirate"
    assert [*map(str, case.regimes)] == ["adapter", "adapter"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "nothing is asserted; expected at least one of max_carried, max_text, max_cache"),
        ({"max_text": 0.1, "changes": [["adapter", "adapter"]]}, "from adapter to adapter nothing changes"),
        ({"max_text": 0.1, "at": 1}, "greater than or equal to 2"),
    ],
)
def test_keys_that_ask_for_nothing_are_a_sentence(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        handover(**fields)


@pytest.mark.parametrize(
    ("fields", "given", "sentence"),
    [
        ({"max_text": 0.1}, scripts(3), "handover needs at least 4 scripts, and the suite has 3"),
        ({"max_text": 0.1, "at": 6}, scripts(), "the model answers 5 of the turns of the script 's0'"),
        (
            {"max_cache": 0.1, "changes": [["prompt", "bare"]]},
            scripts(),
            "from prompt to bare the prompt changes",
        ),
        ({"max_text": 0.1, "into": "counsul"}, scripts(), "no persona is named 'counsul'; did you mean"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(fields, given, sentence):
    with pytest.raises(SuiteError, match=re.escape(sentence)):
        handover(**fields).cases(scene(given))
