import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from coherence.vocabulary import Marker, Persona, Prompt


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


def test_short_spellings() -> None:
    persona = Persona.model_validate({"prompt": "Arr.", "markers": ["arr", {"text": "ahoy", "kind": "stem"}]})
    assert persona.prompt == Prompt(text="Arr.", role="system")
    assert persona.markers == (Marker(text="arr"), Marker(text="ahoy", kind="stem"))


def test_distinct_markers_of_a_reply() -> None:
    persona = Persona(markers=(Marker(text="arr"), Marker(text="sea"), Marker(text="ship")))
    assert [marker.text for marker in persona.markers_in("Arr, arr! The ship, arr.")] == ["arr", "ship"]


@pytest.mark.parametrize("dose", ["nan", "inf"])
def test_a_dose_is_a_number(dose: str) -> None:
    with pytest.raises(ValidationError):
        Persona.model_validate({"dose": float(dose)})
