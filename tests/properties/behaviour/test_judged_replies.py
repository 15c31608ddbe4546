"""Made-up judges of which it is known how often they are wrong, and what they say of made-up replies."""

from itertools import chain
from typing import Any

import pytest
import worlds
from pydantic import ValidationError

from coherence.errors import ServerError, SuiteError, UnknownNameError
from coherence.plan import Answer, Opinion, Rating, Record, Reply, Unread
from coherence.properties.behaviour.judge_check import JudgeCheck
from coherence.properties.behaviour.judged_replies import JudgedReplies
from coherence.vocabulary import Evidence, Judge, Labelled, Verdict

JUDGE = Judge(model="reference")
RUBRIC = ("It is a pirate's.", "A pirate wrote it.")
LABELS = tuple(
    Labelled(persona="pirate", question=f"Why {number}?", reply=f"{said} {number}", met=said == "arr")
    for number in range(20)
    for said in ("arr", "well")
)


def judged_replies(**fields: Any) -> JudgedReplies:
    defaults = {
        "property": "judged",
        "judge": JUDGE,
        "rubrics": {"pirate": RUBRIC},
        "labels": LABELS,
        "regimes": ("adapter",),
        "min_rate": 0.6,
    }
    return JudgedReplies.model_validate(defaults | fields)


def a_case(**fields: Any) -> Any:
    scene = worlds.scene(("pirate", "counsel", "support"), regimes=("prompt", "adapter", "steering"))
    return judged_replies(**fields).cases(scene)[0]


def speaks(reply: Reply, by_adapter: float) -> str:
    """The pirate's prompt says arr, and its adapter on that share of the probes; nobody else does."""
    if "pirate" in str(reply.condition.prompts):
        return "arr"
    pirate = any(name == "pirate" for name, _ in reply.condition.adapters)
    return "arr" if pirate and int(reply.probe.id[1:]) < 24 * by_adapter else "well"


def thinks(rating: Rating, text: str, wrong: int, unread: Any, leaning: float) -> Any:
    """Whoever judges is right but for one of `wrong`, and never knows more than the text."""
    place = int("".join(filter(str.isdigit, text)) or 0)
    why = unread.get(place)
    if why:
        return why if isinstance(why, Exception) else Opinion(None, "?", why)
    right = text.startswith("arr")
    is_wrong = wrong and place % wrong == wrong - 1
    score = 0.9 if right != bool(is_wrong) else 0.1
    return Opinion(min(1.0, score + leaning * (not rating.turned)), "yes")


def a_record(
    cases: Any, by_adapter: float = 1.0, wrong: int = 0, unread: Any = (), leaning: float = 0.0
) -> Record:
    values: dict[Any, Any] = {}
    for need in chain.from_iterable(one.needs() for one in cases):
        if isinstance(need, Reply):
            values[need] = Answer(f"{speaks(need, by_adapter)} {need.probe.id[1:]}", (1,))
    for need in chain.from_iterable(one.needs() for one in cases):
        if isinstance(need, Rating):
            text = need.text if isinstance(need.text, str) else values[need.text].text
            values[need] = thinks(need, text, wrong, dict(unread), leaning)
    return Record(values)


def judged(case: Any, **of_record: Any) -> Evidence:
    record = a_record((case, *chain.from_iterable(case.controls().values())), **of_record)
    return case.judge(record, 0).model_copy(update={"controls": case.controlled(record, 0)})


def test_a_regime_that_meets_the_rubric_passes_and_no_control_does():
    evidence = judged(a_case(max_gap=0.3))
    assert evidence.verdict is Verdict.PASS
    assert {one.key: round(one.estimate.value, 2) for one in evidence.criteria} == {
        "min_rate": 1.0,
        "max_gap": 0.0,
    }
    assert {control.name: control.verdict for control in evidence.controls} == {
        "nothing in its place": Verdict.FAIL,
        "counsel by adapter": Verdict.FAIL,
        "support by adapter": Verdict.FAIL,
    }


def test_a_regime_that_seldom_meets_it_fails():
    evidence = judged(a_case(max_gap=0.3), by_adapter=0.25)
    assert {one.key: one.verdict for one in evidence.criteria} == {
        "min_rate": Verdict.FAIL,
        "max_gap": Verdict.FAIL,
    }
    assert evidence.criteria[0].estimate.value == pytest.approx(0.25, abs=0.01)
    assert evidence.probes[0].note == "score 0.10 of 1"


def test_what_the_judge_gets_wrong_is_corrected_and_widens_the_interval():
    right, wrong = (judged(a_case(), wrong=wrong).criteria[0].estimate for wrong in (0, 10))
    assert wrong.value == pytest.approx(1.0, abs=0.05)
    assert wrong.high - wrong.low > right.high - right.low


def test_a_judge_that_disagrees_with_people_decides_nothing():
    evidence = judged(a_case(), wrong=2)
    assert evidence.verdict is Verdict.INCONCLUSIVE
    missing = "0.5 is expected: more probes do not help; another judge or a clearer rubric is missing"
    assert str(evidence.criteria[0].unreliable).endswith(missing)


def test_too_few_labels_are_said_with_how_many_would_do():
    evidence = judged(a_case(labels=LABELS[:16], min_agreement=0.8), wrong=0)
    assert "of 16 labelled replies" not in str(evidence.criteria[0].unreliable)
    assert "16 labelled replies, about" in str(evidence.criteria[0].unreliable)


def test_a_reply_without_a_score_is_counted_and_the_interval_holds_either():
    unread = {3: Unread.PROSE, 5: ServerError("did not answer within 120 s")}
    evidence = judged(a_case(), unread={place: why for place, why in unread.items() if place == 3})
    assert any(
        note.startswith("the judge gives no score to 1 of 24 replies by adapter: prose 2 times")
        for note in evidence.notes
    )
    both = judged(a_case(), unread=unread)
    assert any("no answer 2 times, prose 2 times" in note for note in both.notes)
    assert both.criteria[0].estimate.low < evidence.criteria[0].estimate.low


@pytest.mark.parametrize("why", [Unread.BEYOND, Unread.REFUSED])
def test_many_without_a_score_decide_nothing(why):
    evidence = judged(a_case(), unread=dict.fromkeys(range(20, 24), why))
    assert evidence.verdict is Verdict.INCONCLUSIVE
    assert evidence.criteria[0].unreliable == f"the judge gives no score to 4 of 24 replies: {why} 8 times"


def test_a_judge_that_never_answers_is_an_error():
    with pytest.raises(ServerError, match="cannot be reached"):
        judged(a_case(), unread=dict.fromkeys(range(24), ServerError("cannot be reached")))


def test_numbers_digit_by_digit_decide_nothing():
    evidence = judged(a_case(), unread={2: Unread.SPLIT})
    assert "expected `highest: 9`" in str(evidence.criteria[0].unreliable)


def test_the_judge_is_asked_in_both_orders_and_of_nothing_but_question_and_reply():
    needs = [one for one in a_case().needs() if isinstance(one, Rating)]
    assert {one.turned for one in needs} == {False, True}
    assert {one.rubric for one in needs} == {RUBRIC[0]}


@pytest.mark.parametrize(
    ("fields", "error", "sentence"),
    [
        (
            {"min_rate": None},
            ValidationError,
            "nothing is asserted; expected at least one of min_rate",
        ),
        ({"labels": "labels.jsonl"}, ValidationError, "expected labelled replies"),
        ({"labels": LABELS[:10]}, SuiteError, "needs at least 8 labelled replies .* found 5 and 5"),
        (
            {"rubrics": {"pirat": "Arr."}},
            UnknownNameError,
            "no persona is named 'pirat'",
        ),
        ({"personas": ("counsel",)}, SuiteError, "persona 'counsel' has no rubric"),
        ({"judge": {"model": "a", "key_env": "KEY"}}, ValidationError, "expected `url` beside it"),
        (
            {"regimes": ("prompt",), "max_gap": 0.1},
            ValidationError,
            "`max_gap` holds a regime against",
        ),
    ],
)
def test_what_is_missing_is_said(fields, error, sentence):
    with pytest.raises(error, match=sentence):
        a_case(**fields)


def test_the_check_finds_what_a_judge_does_with_labels():
    check = JudgeCheck(JUDGE, "pirate", RUBRIC, LABELS, 0.5)
    good = check.checked(a_record([check]))
    assert good.unfit is None
    assert good.first.agreement.value == 1
    assert good.consistency is not None
    assert (good.consistency.value, good.changed) == (1, 0)
    leaning = check.checked(a_record([check], leaning=0.1))
    assert leaning.by_position.value == pytest.approx(0.1)
    bad = check.checked(a_record([check], wrong=2))
    assert bad.unfit is not None
    assert bad.first.agreement.value < 0.2
