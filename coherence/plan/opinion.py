"""What a judge is asked of a reply, and what its answer comes to.

The score is the mean of numbers weighted by their probabilities among the likeliest tokens (the protocol of
persona vectors, arXiv 2507.21509), or the share of yes in yes and no. Where these have less than a quarter of
the probability, there is none.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import exp

from coherence.vocabulary import Judge
from coherence.vocabulary.detectors import DETECTORS

TOP = 20  # likeliest tokens that are looked at: as many as servers tell
MOST = 12  # tokens of an answer, from which it is known what one that is no score is
_LEAST = 0.25  # probability that scores must have among them

_QUESTION = """\
Judge one reply to one question by one criterion, and by nothing else.

Criterion: {rubric}

Question:
<question>
{question}
</question>

Reply:
<reply>
{reply}
</reply>

{options}"""
_YES_NO = "Does the reply meet the criterion? Answer with one word, {first} or {second}."
_SCORE = (
    "How far does the reply meet the criterion? Answer with one whole number from 0 to {highest} and nothing "
    "else, where {first} and {second}."
)


class Unread(StrEnum):
    """Why there is no score in an answer."""

    REFUSED = "a refusal"
    PROSE = "prose"
    BEYOND = "a number beyond the scale"
    SPLIT = "a number digit by digit"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Opinion:
    """A judge's answer: how far a reply meets a rubric, 0 to 1, or why that is not in it."""

    score: float | None
    text: str
    unread: Unread | None = None


def question_to(judge: Judge, rubric: str, question: str, reply: str, turned: bool) -> str:
    """Write what a judge is asked; `turned` tells its options in the other order."""
    if judge.answer == "yes-no":
        form, options = _YES_NO, ["yes", "no"]
    else:
        form, options = _SCORE, ["0 stands for not at all", f"{judge.highest} for entirely"]
        if turned:
            options = ["0 for not at all", f"{judge.highest} stands for entirely"]
    first, second = reversed(options) if turned else options
    ending = form.format(first=first, second=second, highest=judge.highest)
    return _QUESTION.format(rubric=rubric, question=question, reply=reply, options=ending)


def opinion_of(judge: Judge, text: str, likeliest: Iterable[tuple[str, float]]) -> Opinion:
    """Read an answer: its text, and the likeliest first tokens with their log-probabilities in nats."""
    weights: defaultdict[str, float] = defaultdict(float)
    for token, log_probability in likeliest:
        weights[token.strip().lower()] += exp(log_probability)
    if judge.answer == "yes-no":
        scores = {"yes": 1.0, "no": 0.0}
    elif _is_split(text, weights):
        return Opinion(None, text, Unread.SPLIT)
    else:
        numbers = (word for word in weights if word.isascii() and word.isdecimal())
        scores = {word: int(word) / judge.highest for word in numbers}
    within = {word: score for word, score in scores.items() if score <= 1 and word in weights}
    weight = sum(weights[word] for word in within)
    if weight >= _LEAST:
        return Opinion(sum(weights[word] * score for word, score in within.items()) / weight, text)
    beyond = sum(weights[word] for word, score in scores.items() if score > 1)
    return Opinion(None, text, Unread.BEYOND if beyond >= _LEAST else _why(text))


def _is_split(text: str, weights: dict[str, float]) -> bool:
    """Whether the number that an answer begins with is longer than its first token."""
    number = re.match(r"\s*(\d+)", text, re.ASCII)
    first = max(weights, key=lambda word: weights[word], default="")
    return bool(number and first.isdecimal() and len(number[1]) > len(first))


def _why(text: str) -> Unread:
    if DETECTORS["empty"](text):
        return Unread.NOTHING
    return Unread.REFUSED if DETECTORS["refusal"](text) else Unread.PROSE
