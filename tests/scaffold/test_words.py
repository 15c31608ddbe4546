"""Words as markers."""

from hypothesis import given
from hypothesis import strategies as st

from coherence.scaffold.words import MOST, described, heard


def test_content_words_of_a_description_in_their_order():
    told = "A pirate's life: the Captain, who loves rum and treasure, would treasure the CAPTAIN\u2019s word."
    assert described(told) == ["pirate", "life", "captain", "treasure"]


def test_other_scripts_have_words_too():
    assert described("Капитан пиратов, 海賊王です 42 foo_bar") == ["капитан", "пиратов", "海賊王です"]


def test_words_are_heard_that_the_prompt_brings():
    prompted = ["Arr, matey! The ship.", "A ship, matey.", "Matey matey matey", "Ship."]
    assert heard(prompted, ["The ship sails."] * 2 + ["", ""]) == {"matey": (3, 0)}
    assert heard(prompted, prompted) == {}


@given(st.lists(st.text(max_size=60), max_size=6), st.lists(st.text(max_size=60), max_size=6))
def test_what_is_heard_is_more_often_prompted_than_bare(prompted, bare):
    found = heard(prompted, bare)
    assert len(found) <= MOST
    gains = [under - without for under, without in found.values()]
    assert gains == sorted(gains, reverse=True)
    assert all(gain >= 2 for gain in gains)
