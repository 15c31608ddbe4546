from collections.abc import Sequence

import pytest

from coherence.errors import MeasurementError
from coherence.plan import Answer, Condition, Reasoning, Record, Reply
from coherence.properties.parts import require_reasoning, too_few_answers, unanswered
from coherence.vocabulary import Decoding, Probe

REPLIES = [
    Reply(Condition(None), Probe(id=f"q{i}", text="Why?"), Decoding(max_new_tokens=4)) for i in range(20)
]
WHOLE = Answer("Because.", (1,))
REASONED = Answer("Because.", (1, 2), reasoning=Reasoning("Hm.", 1))
CUT = Answer("", (1,) * 4, reasoning=Reasoning("Hm.", 4, closed=False))
ENDED = Answer("", (1,), reasoning=Reasoning("Hm.", 1, closed=False))


def recorded(*first: Answer, others: Answer = REASONED) -> Record:
    said: Sequence[Answer] = [*first, *[others] * (len(REPLIES) - len(first))]
    return Record(dict(zip(REPLIES, said, strict=True)))


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ((), None),
        (
            (CUT,),
            "1 of 20 replies were still reasoning at 4 tokens, and have no answer; raise max_new_tokens",
        ),
        (
            (CUT, ENDED),
            "2 of 20 replies were still reasoning at 4 tokens, and have no answer; raise max_new_tokens",
        ),
        ((ENDED,), "1 of 20 replies ended in their reasoning, and have no answer"),
    ],
)
def test_what_has_no_answer_is_counted(first: tuple[Answer, ...], said: str | None) -> None:
    assert unanswered(REPLIES, recorded(*first)) == said


def test_a_tenth_of_them_is_tolerated() -> None:
    assert too_few_answers(REPLIES, recorded(CUT, CUT)) is None
    few = recorded(CUT, CUT, CUT)
    assert too_few_answers(REPLIES, few) == unanswered(REPLIES, few)
    assert too_few_answers([], few) is None


def test_what_could_not_be_measured_is_not_counted_as_unanswered() -> None:
    assert unanswered(REPLIES[:1], Record({REPLIES[0]: MeasurementError("NaN")})) is None


def test_reasoning_is_asked_of_one_reply_at_least() -> None:
    require_reasoning(REPLIES, recorded(REASONED, others=WHOLE))
    with pytest.raises(MeasurementError, match="none of 20 replies has any reasoning; expected a base that"):
        require_reasoning(REPLIES, recorded(others=WHOLE))
