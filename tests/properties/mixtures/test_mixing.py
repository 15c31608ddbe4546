from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from poles import attractor, scene
from pydantic import ValidationError

from coherence.engine.model.chat import messages
from coherence.errors import SuiteError
from coherence.plan import Condition
from coherence.properties.mixtures.mixing import Shown, by_examples
from coherence.vocabulary import Probe

EXAMPLES = tuple({"user": f"Why {n}?", "replies": ["Great!", "Sadly."]} for n in range(4))
PROBE = Probe(id="q", text="And now?")


def ways(**fields):
    return {way.slug: way for way in attractor(**fields).ways(scene())}


def said(condition):
    """What is said before and with the probe, without the neutral system turn."""
    return [message["content"] for message in messages(condition, PROBE)][1:]


def test_adapters_trained_on_mixtures_stand_between_those_of_the_poles():
    mixtures = ways(trained={0.75: "upbeat", 0.25: "gloomy"})["trained"].mixtures
    assert {weight: several[0].adapters for weight, several in mixtures.items()} == {
        0: (("gloomy", 1.0),),
        0.25: (("gloomy", 1.0),),
        0.75: (("upbeat", 1.0),),
        1: (("upbeat", 1.0),),
    }
    assert list(mixtures) == [0, 0.25, 0.75, 1]


def test_examples_are_said_without_an_instruction():
    pole = ways(examples=EXAMPLES)["examples"].mixtures[1.0]
    assert [said(condition) for condition in pole] == [
        ["Why 0?", "Great!", "Why 1?", "Great!", "Why 2?", "Great!", "Why 3?", "Great!", "And now?"]
    ]


def test_a_quarter_of_the_examples_has_every_place_in_its_turn():
    quarter = ways(examples=EXAMPLES)["examples"].mixtures[0.25]
    assert {tuple(said(condition)[1::2]).index("Great!") for condition in quarter} == {0, 1, 2, 3}
    assert all(said(condition).count("Great!") == 1 for condition in quarter)
    assert len(ways(examples=EXAMPLES)["examples"].mixtures[0.5]) == 2


@given(st.integers(2, 9), st.data())
def test_no_place_in_the_prompt_belongs_to_a_pole(count, data):
    positive = data.draw(st.integers(0, count))
    shown = tuple(Shown(user=f"Why {n}?", replies=("Great!", "Sadly.")) for n in range(count))
    (conditions,) = by_examples(scene(), shown, [positive / count]).values()
    for place in range(count):
        bright = sum(said(condition)[1 + 2 * place] == "Great!" for condition in conditions)
        assert Fraction(bright, len(conditions)) == Fraction(positive, count)


def test_a_share_of_the_examples_is_a_whole_number():
    with pytest.raises(
        ValidationError, match=r"the weight 0\.25 of 3 examples is 0\.75 of them; expected a whole"
    ):
        attractor(examples=EXAMPLES[:3])
    assert attractor(examples=EXAMPLES[:3], weights=(0, 1 / 3, 2 / 3, 1))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"trained": {1.0: "upbeat"}}, "the weight 1 is not between 0 and 1, where the poles have adapters"),
        ({"trained": {}}, "at least 1 item"),
        ({"examples": [{"user": "Why?", "replies": ["Great!"]}] * 2}, "replies"),
    ],
)
def test_what_is_no_mixture_is_a_sentence(fields, sentence):
    with pytest.raises(ValidationError, match=sentence):
        attractor(**fields)


def test_an_adapter_that_is_not_there_is_a_sentence():
    with pytest.raises(SuiteError, match="named 'gloomi'; did you mean 'gloomy'"):
        ways(trained={0.5: "gloomi"})


def test_the_question_is_put_as_it_is():
    (condition,) = ways(examples=EXAMPLES)["examples"].mixtures[0.0]
    assert isinstance(condition, Condition)
    assert messages(condition, PROBE)[0] == {"role": "system", "content": "Be helpful."}
    assert said(condition)[-1] == PROBE.text
