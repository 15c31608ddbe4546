"""Texts that would take the memory or the stack of a process are refused before anything is made of them."""

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from coherence.suite.document import LOADER
from coherence.suite.extent import ExtentError, values_in


def values(text, most=1_000_000):
    return values_in(yaml.parse(text, Loader=LOADER), most)


def counted(value) -> int:
    match value:
        case dict():
            return 1 + sum(counted(key) + counted(item) for key, item in value.items())
        case list():
            return 1 + sum(map(counted, value))
    return 1


@given(
    st.recursive(
        st.integers() | st.text("ab"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    )
)
def test_every_value_counts_once(value):
    assert values(yaml.safe_dump(value)) == counted(value)


def test_what_an_alias_repeats_counts_again():
    assert values("a: &a [1, 2]\nb: &b [*a, *a]\nc: [*b, x]\n") == counted(
        {"a": [1, 2], "b": [[1, 2]] * 2, "c": [[[1, 2]] * 2, "x"]}
    )


def many(number: int) -> str:
    return f"*a{number}," * 9


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("[" * 100_000, 1, "lists and mappings lie more than 32 deep in each other"),
        ("a:\n" + "".join(f"{' ' * depth}-\n" for depth in range(99)), 33, "more than 32 deep"),
        ("\n".join(["a0: &a0 []", *(f"a{n + 1}: &a{n + 1} [*a{n}]" for n in range(40))]), 32, "32 deep"),
        (
            "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{f'*a{n},' * 9}]\n" for n in range(9)),
            5,
            "values",
        ),
    ],
)
def test_the_line_is_told_where_a_text_goes_too_far(text, line, sentence):
    with pytest.raises(ExtentError, match=re.escape(sentence)) as caught:
        values(text, most=5_000)
    assert caught.value.event.start_mark.line + 1 == line
