import pytest

from coherence.errors import MeasurementError
from coherence.plan.dialogue import Spoken, message_of, told_to
from coherence.vocabulary import User

USER = User(model="reference", prompt="You want your parcel.", hears=2)


def test_a_user_is_told_who_it_is_and_the_last_exchanges():
    told = told_to(USER, [Spoken(f"q{number}", f"a{number}") for number in range(4)])
    assert told.startswith("You want your parcel.")
    assert "User: q2\nAssistant: a2\n\nUser: q3\nAssistant: a3" in told
    assert "q1" not in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Where is it?\nAssistant: Here.", "Where is it?"),
        ('\n  User: "And my lamp?"\n', "And my lamp?"),
        ("you: now", "now"),
    ],
)
def test_what_it_says_is_its_first_line_without_a_label(text, message):
    assert message_of(USER, text) == message


@pytest.mark.parametrize("text", ["", " \n ", "User:", '""'])
def test_a_user_that_says_nothing_is_an_error(text):
    with pytest.raises(MeasurementError, match="the user reference says nothing, with seed 0"):
        message_of(USER, text)
