import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from coherence.vocabulary import Marker, shown


@pytest.mark.parametrize(
    ("kind", "text", "reply", "found"),
    [
        ("word", "ye", "Aye, YE be right.", True),
        ("word", "ye", "Yes, yesterday, aye.", False),
        ("word", "ship", "The ship's wheel", True),
        ("phrase", "happy to help", "I am Happy to help!", True),
        ("phrase", "happy to help", "unhappy to help", False),
        ("phrase", "a.b", "a.b", True),
        ("phrase", "a.b", "axb", False),
        ("phrase", "C++", "I like C++ more", True),
        ("stem", "apolog", "We apologise.", True),
        ("stem", "apolog", "unapologetic", False),
        ("stem", "'tis", "And 'tistle", True),
        ("regex", r"arr+", "ARRRR!", True),
        ("regex", r"^arr", "Oh, arr", False),
        ("word", "café", "Le CAFÉ.", True),
        ("word", "café", "Le CAFE\u0301.", True),
        ("word", "cafe\u0301", "Le café.", True),
        ("word", "cafe", "Le cafe\u0301.", False),
        ("word", "海賊", "俺は海賊だ。", True),
        ("word", "arr", "俺はarrだ。", True),
        ("word", "パイ", "パン", False),
        ("stem", "नमस", "नमस्ते", True),
        ("word", "नमस", "नमस्ते", False),
        ("detector", "refusal", "I\u2019m sorry, but I can't help with that.", True),
        ("detector", "refusal", "As an AI language model, I have no ship.", True),
        ("detector", "refusal", "I am unable to assist.", True),
        ("detector", "refusal", "I am so sorry for the trouble! I cannot wait to hear more.", False),
        ("detector", "empty", " ...\n", True),
        ("detector", "empty", "Arr.", False),
        ("detector", "repetition", "Arr! the sea, " * 10, True),
        ("detector", "repetition", "a" * 60, True),
        ("detector", "repetition", "海賊" * 8, True),
        ("detector", "repetition", "Arr, arr, arr! The sea is a harsh and a fine place to be, matey.", False),
        ("detector", "repetition", "no no no", False),
        ("foreign", "Latin", "Привет, captain.", True),
        ("foreign", "Latin", "An angle \u03b1 of ½ is what the navigator reads.", False),
        ("foreign", "Latin", "...", False),
        ("foreign", "Han Hiragana Katakana", "俺は海賊だ。パイレーツ。", False),
        ("foreign", "Han", "俺は海賊だ。", True),
    ],
)
def test_markers(kind: str, text: str, reply: str, found: bool) -> None:
    assert Marker.model_validate({"text": text, "kind": kind}).found_in(reply) is found


@given(
    text=st.text(min_size=1), before=st.sampled_from(["", " ", ". "]), kind=st.sampled_from(["word", "stem"])
)
def test_a_marker_is_found_where_it_stands_alone(text: str, before: str, kind: str) -> None:
    assert Marker.model_validate({"text": text, "kind": kind}).found_in(f"{before}{text} ")


@given(
    text=st.text("ar", min_size=1), reply=st.text("arAR "), kind=st.sampled_from(["word", "stem", "regex"])
)
def test_the_places_of_a_marker_hold_it(text: str, reply: str, kind: str) -> None:
    marker = Marker.model_validate({"text": text, "kind": kind})
    places = marker.places(reply)
    assert {reply[start:end].lower() for start, end in places} <= {text}
    assert bool(places) is marker.found_in(reply)


def test_a_marker_that_was_used_is_still_the_same_value() -> None:
    used, fresh = Marker(text="arr"), Marker(text="arr")
    used.found_in("arr")
    assert used == fresh
    assert hash(used) == hash(fresh)


def test_a_regex_that_does_not_compile() -> None:
    with pytest.raises(ValidationError, match=r"the marker '\(arr' is not a regular expression: missing \)"):
        Marker(text="(arr", kind="regex")


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("detector", "refusals", "'refusals' is not a detector: .*did you mean 'refusal'"),
        ("foreign", "Latin Elvish", "'Latin Elvish' is not a script: 'Elvish' is no script of Unicode"),
        ("foreign", "Han]", "no script of Unicode"),
        ("foreign", " ", "expected scripts"),
    ],
)
def test_what_there_is_not(kind: str, text: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Marker.model_validate({"kind": kind, "text": text})


def test_a_place_is_that_of_the_text_as_it_is_written() -> None:
    reply = "Un cafe\u0301, s'il."
    assert [reply[start:end] for start, end in Marker(text="café").places(reply)] == ["cafe\u0301"]


ARR, SEA = Marker(text="arr"), Marker(text="sea")
NEVER, LOOP = Marker(text="dude", absent=True), Marker(text="repetition", kind="detector", absent=True)


@pytest.mark.parametrize(
    ("markers", "reply", "shows"),
    [
        ((ARR, SEA), "Arr, arr!", [ARR]),
        ((ARR, NEVER), "Arr!", [ARR]),
        ((ARR, NEVER), "Arr, dude!", []),
        ((ARR, LOOP), "Arr! " * 20, []),
        ((NEVER,), "Hello.", [NEVER]),
        ((NEVER,), "Hello, dude.", []),
        ((), "Hello.", []),
    ],
)
def test_a_reply_with_what_is_never_said_shows_nothing(markers, reply, shows) -> None:
    assert shown(markers, reply) == shows
