import re
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.errors import MeasurementError
from coherence.vocabulary.pattern import Pattern

# What `regex` would take for additions of its own stands here beside what both know.
PARTS = [
    *("a", "b", "é", "_", " ", "1", r"\w", r"\W", r"\b", r"\d", r"\s", ".", "^", "$", "[ab]", r"[^a\d]", "|"),
    *("(?:", "(", "(?=", "(?!", "(?<=a)", ")", "*", "+", "?", "*?", "{2}", "{1,2}", "{,2}", r"\1", "(?>a)"),
    *("{}", "{e}", "{e<=1}", "{", "}", "{2", r"\{", "[{]", "[]a]", "[[a]", "[a[:alpha:]]", "[a--b]", "(?#c)"),
]


@given(
    pattern=st.lists(st.sampled_from(PARTS), min_size=1, max_size=7).map("".join),
    text=st.text("abAé_1 \n{}e<=:-[]", min_size=1, max_size=12),
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_it_finds_what_pythons_own_finds(pattern, text):
    try:
        known = re.compile(pattern, re.IGNORECASE)
    except re.error:
        with pytest.raises(ValueError, match=r"."):
            Pattern(pattern)
        return
    assert [match.span() for match in Pattern(pattern).finditer(text)][:1] == [
        match.span() for match in known.finditer(text)
    ][:1]


def test_one_that_would_run_for_ever_ends_with_a_sentence():
    started = monotonic()
    with pytest.raises(MeasurementError) as caught:
        Pattern("(a|aa)+$b").search("a" * 3000)
    assert monotonic() - started < 10
    assert str(caught.value).startswith(
        "the regular expression '(a|aa)+$b' takes more than 1 seconds on 'aaaaaaaa"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("(" * 5000 + ")" * 5000, "it has 10,000 characters, expected at most 1,000"),
        ("(" * 450 + ")" * 450, "maximum recursion depth exceeded"),
        ("(?:a{1000}){1000}", "it repeats a part 1,000,000 times, expected at most 1,000 with all repeats"),
        ("a{99999999999}", "repetition number is too large"),
        ("(?R)?", "unknown extension ?R"),
        (r"\p{L}", r"bad escape \p"),
        ("(a", "missing )"),
    ],
)
def test_what_is_none_is_told(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Pattern(text)


@pytest.mark.parametrize("text", ["(?:(?:[)]a{9,10}b){2,99})+(c{2,200})", r"a{900}b{900}\{99999}"])
def test_repeats_count_together_where_one_is_in_the_other(text):
    assert Pattern(text).search("nothing") is None
