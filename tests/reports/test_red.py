"""What a red run is said to be red because of, and in which order."""

import pytest
from judged import judged, mean, run

from coherence.reports.order import worst_first
from coherence.reports.red import run_in_a_sentence, told_first
from coherence.vocabulary import Cause, Comparison, Verdict
from coherence.vocabulary.comparison import Change

BAD, GOOD = (mean([value - 0.01, value, value + 0.01, value], at_least=0.5) for value in (0.1, 0.9))
CAUSE = Cause(
    artefact="adapter pirate", sentence="pirate's adapter is counsel's, byte by byte", remedy="look at it"
)
FOLLOWS = CAUSE.model_copy(update={"follows": True})


def red(name, cause=None):
    return judged(BAD, name=name, cause=cause)


def test_what_explains_others_comes_first_and_what_follows_from_it_next():
    results = [
        red("counsel.a", FOLLOWS),
        red("support.a"),
        red("pirate.a", CAUSE),
        judged(GOOD, name="oncall.a"),
        red("pirate.b", CAUSE),
    ]
    assert [one.id for one in worst_first(results)] == [
        "pirate.a", "pirate.b", "counsel.a", "support.a", "oncall.a",
    ]  # fmt: skip
    assert run_in_a_sentence(run(*results)) == (
        "4 of 5 assertions are not as expected, likely because pirate's adapter is counsel's, byte by byte: "
        "pirate.a, pirate.b; counsel.a follows from it; 1 for other reasons."
    )


def test_an_error_comes_before_a_fail_that_has_a_cause():
    assert [one.id for one in worst_first([red("pirate.a", CAUSE), judged(name="law.a")])] == [
        "law.a", "pirate.a",
    ]  # fmt: skip


def test_what_is_less_red_and_explains_a_fail_comes_before_it():
    unsure = judged(mean([0.1, 0.9, 0.2, 0.9], at_least=0.5), name="pirate.a", cause=CAUSE)
    assert unsure.verdict is Verdict.INCONCLUSIVE
    ordered = worst_first([red("support.a"), red("counsel.a", FOLLOWS), unsure])
    assert [one.id for one in ordered] == ["support.a", "pirate.a", "counsel.a"]


def test_without_a_cause_the_worst_is_said():
    assert run_in_a_sentence(run(red("pirate.a"), judged(GOOD))) == (
        "1 of 2 assertions is not as expected; the first: "
        "pirate.a fails: cosine is 0.10, expected at least 0.5."
    )


def test_all_that_suites_and_models_wrote_is_quoted():
    text = run_in_a_sentence(run(red("pirate.a", CAUSE), red("counsel.a", FOLLOWS)), "<{}>".format)
    assert text == (
        "2 of 2 assertions are not as expected, likely because "
        "<pirate's adapter is counsel's, byte by byte>: <pirate.a>; <counsel.a> follows from it."
    )
    assert "<pirate.a fails: " in run_in_a_sentence(run(red("pirate.a")), "<{}>".format)


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        (run(), "Nothing was evaluated."),
        (run(judged(GOOD)), "The one assertion is as expected."),
        (
            run(judged(GOOD), judged(mean([0.1, 0.9, 0.2, 0.9]), tolerated=True)),
            "All 2 are as expected, 1 of them tolerated.",
        ),
    ],
)
def test_a_green_run_is_a_sentence_too(results, sentence):
    assert run_in_a_sentence(results) == sentence


def test_what_regressed_is_in_the_sentence_of_a_green_run():
    change = Change(suite="a", assertion="b", statistic="c", kind="regressed", alone="regressed")
    comparison = Comparison(baseline="b", started="2026", tolerance=0, changes=(change,))
    assert run_in_a_sentence(run(judged(GOOD)).model_copy(update={"comparison": comparison})) == (
        "The one assertion is as expected, and 1 criterion is worse than before."
    )


def test_one_line_says_what_was_seen_and_why():
    assert told_first(red("pirate.a", CAUSE)) == (
        "pirate.a fails: cosine is 0.10, expected at least 0.5; "
        "likely cause: pirate's adapter is counsel's, byte by byte; look at it"
    )
