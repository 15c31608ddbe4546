"""What a judge is asked, and what is read in its answers."""

from math import log

import pytest

from coherence.plan import Opinion, Unread
from coherence.plan.opinion import opinion_of, question_to
from coherence.vocabulary import Judge

YES_NO = Judge(model="reference")
SCORE = Judge(model="reference", answer="score")


def read(judge: Judge, text: str, **chances: float) -> Opinion:
    return opinion_of(judge, text, [(token, log(chance)) for token, chance in chances.items()])


def test_the_odds_of_yes_decide_however_it_is_written():
    opinion = opinion_of(
        YES_NO, "Yes", [("Yes", log(0.5)), (" yes", log(0.1)), ("no", log(0.2)), ("I", log(0.1))]
    )
    assert opinion.score == pytest.approx(0.6 / 0.8)
    assert opinion.unread is None


def test_a_score_is_the_mean_of_numbers_by_their_probabilities():
    assert read(SCORE, "80", **{"80": 0.5, "100": 0.25, "yes": 0.1}).score == pytest.approx(65 / 75)
    nine = Judge(model="reference", answer="score", highest=9)
    assert read(nine, "9", **{"9": 0.4, "0": 0.4}).score == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("judge", "text", "chances", "why"),
    [
        (YES_NO, "The reply is rather good", {"The": 0.9, "yes": 0.05}, Unread.PROSE),
        (YES_NO, "I cannot assist with that.", {"I": 0.9}, Unread.REFUSED),
        (YES_NO, "", {}, Unread.NOTHING),
        (SCORE, "250", {"250": 0.8, "90": 0.1}, Unread.BEYOND),
        (SCORE, "85", {"8": 0.9}, Unread.SPLIT),
        (SCORE, "yes", {"yes": 0.9}, Unread.PROSE),
        (SCORE, "-5", {"-": 0.9}, Unread.PROSE),
    ],
)
def test_what_is_no_score_is_said(judge, text, chances, why):
    opinion = read(judge, text, **chances)
    assert (opinion.score, opinion.unread, opinion.text) == (None, why, text)


def test_the_other_order_is_the_same_question():
    first, turned = (question_to(YES_NO, "Be kind.", "Why?", "So.", turned) for turned in (False, True))
    assert first.endswith("yes or no.")
    assert turned.endswith("no or yes.")
    assert first.replace("yes or no", "no or yes") == turned
    first, turned = (question_to(SCORE, "Be kind.", "Why?", "So.", turned) for turned in (False, True))
    assert first.endswith("where 0 stands for not at all and 100 for entirely.")
    assert turned.endswith("where 100 stands for entirely and 0 for not at all.")
