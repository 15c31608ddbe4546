"""Words as markers."""

from hypothesis import given
from hypothesis import strategies as st

from coherence.scaffold.words import MOST, described, heard, stem


def test_content_words_of_a_description_in_their_order():
    told = "A pirate's life: the Captain, who loves rum and treasure, would treasure the CAPTAIN\u2019s word."
    assert described(told) == ["pirate", "life", "captain", "treasure"]


def test_other_scripts_have_words_too():
    assert described("Капитан пиратов, 海賊王です 42 foo_bar") == ["капитан", "пиратов", "海賊王です"]


def test_words_are_heard_that_the_prompt_brings():
    prompted = ["Arr, matey! The ship.", "A ship, matey.", "Matey matey matey", "Ship."]
    assert heard("", prompted, ["The ship sails."] * 2 + ["", ""]) == {"matey": (3, 0)}
    assert heard("", prompted, prompted) == {}


def test_words_of_the_description_are_held_against_both():
    prompted, bare = ["Rum! Pirates love rum.", "Treasures.", "The sea."], ["The sea.", "Sailing.", "No."]
    # Once is too seldom for a word that nobody named; `captain` is never said, and `sail` without the prompt.
    told = "A pirate captain who loves treasure and sailing."
    assert heard(told, prompted, bare) == {"pirate": (1, 0), "treasure": (1, 0)}


def test_of_words_that_begin_alike_the_shortest_is_enough():
    assert heard("", ["Pirate.", "Pirates!", "Pirates."], ["", "", ""]) == {"pirate": (3, 0)}


@given(st.lists(st.text(max_size=60), max_size=6), st.lists(st.text(max_size=60), max_size=6), st.text())
def test_what_is_heard_is_more_often_prompted_than_bare(prompted, bare, description):
    found = heard(description, prompted, bare)
    assert len(found) <= MOST
    for word, (under, without) in found.items():
        assert under > without
        assert under == sum(stem(word).found_in(reply) for reply in prompted)
        assert without == sum(stem(word).found_in(reply) for reply in bare)
    assert not [word for word in found for one in found if word != one and word.startswith(one)]
