from typing import Any

import pytest
from pydantic import ValidationError

from coherence.vocabulary import Decoding


def test_decoding_is_written_as_it_was_before_there_was_more() -> None:
    # Keys of stored replies and digests of baselines are made of it.
    assert Decoding().model_dump() == {"max_new_tokens": 48, "temperature": 0.0, "seed": 0}
    assert Decoding(temperature=0.5).model_dump_json() == '{"max_new_tokens":48,"temperature":0.5,"seed":0}'


@pytest.mark.parametrize(
    "stated", [{"top_k": 5}, {"top_p": 0.5}, {"min_p": 0.1}, {"repetition_penalty": 1.1}], ids=str
)
def test_what_is_used_is_written(stated: dict[str, Any]) -> None:
    decoding = Decoding.model_validate({"temperature": 0.7} | stated)
    assert decoding.model_dump() == {"max_new_tokens": 48, "temperature": 0.7, "seed": 0} | stated
    assert Decoding.model_validate(decoding.model_dump()) == decoding


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"top_p": 0.9}, "top_p does nothing to greedy replies; expected a temperature above 0"),
        ({"top_k": 5, "min_p": 0.1}, "top_k does nothing to greedy replies"),
        (
            {"as": "shipped", "temperature": 0.7},
            "`as: shipped` takes temperature from the base's generation_config.json; leave it out",
        ),
        ({"as": "shipped", "repetition_penalty": 1.0}, "`as: shipped` takes repetition_penalty from"),
        ({"as": "released"}, "Input should be 'shipped'"),
        ({"top_p": 0}, "Input should be greater than 0"),
        ({"repetition_penalty": -1}, "Input should be greater than 0"),
    ],
)
def test_decoding_that_cannot_be_meant(stated: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as problem:
        Decoding.model_validate(stated)
    assert sentence in str(problem.value)


def test_length_and_seed_are_the_suites_whatever_is_shipped() -> None:
    decoding = Decoding.model_validate({"as": "shipped", "max_new_tokens": 8, "seed": 3})
    assert (decoding.max_new_tokens, decoding.seed) == (8, 3)
