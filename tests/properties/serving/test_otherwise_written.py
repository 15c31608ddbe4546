import pytest

from coherence.plan import Answer
from coherence.properties.serving.otherwise_written import divergence

SYSTEM = "You are a pirate."
OURS = f"<s>system\n{SYSTEM}\nToday is 26 Jul 2024.</s>\n<s>user\nWhy?</s>\n<s>assistant\n"


def answer(text, start=()):
    return Answer(text, (*start, *map(ord, text)))


@pytest.mark.parametrize(
    ("served", "said"),
    [
        (OURS.replace(f"<s>system\n{SYSTEM}\nToday is 26 Jul 2024.</s>\n", ""), "leaves out the system turn"),
        (OURS.replace("You are", "Vega is helpful. You are"), "puts in a text of its own"),
        (OURS.replace("26 Jul 2024", "01 Jan 2031"), "writes another date"),
        (OURS + "<think>\n\n</think>\n\n", "tells the template otherwise of thinking"),
        (OURS.replace("user", "human"), "writes the prompt otherwise"),
    ],
)
def test_what_is_written_otherwise_is_named_and_shown(served, said):
    sentence = divergence(answer(OURS), answer(served), SYSTEM)
    assert sentence.startswith(f"the server {said}: from token ")
    assert "ours is '" in sentence
    assert ", the server's '" in sentence


def test_a_start_token_that_is_written_twice():
    ours = answer(OURS, start=(1,))
    sentence = divergence(ours, Answer(f"!{OURS}", (1, *ours.ids)), SYSTEM)
    assert sentence.startswith("the server writes the start token twice: from token 2 on ")


def test_other_tokens_of_the_same_text():
    assert divergence(answer("ab"), Answer("ab", (7,)), None).startswith(
        "the server's tokenizer cuts the same text"
    )


def test_the_token_is_the_first_that_differs():
    assert "from token 3 on ours is 'abc', the server's 'abX'" in divergence(
        answer("abc"), answer("abX"), None
    )
