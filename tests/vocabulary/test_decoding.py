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
        (
            {"samples": 4},
            "4 greedy replies to a probe are one and the same; expected a temperature above 0, or samples: 1",
        ),
        ({"samples": 0, "temperature": 1}, "Input should be greater than or equal to 1"),
        ({"samples": 65, "temperature": 1}, "Input should be less than or equal to 64"),
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


def test_samples_are_drawn_by_themselves_and_the_first_as_if_it_were_alone() -> None:
    four = Decoding(temperature=0.7, seed=3, samples=4)
    assert four.model_dump() == {"max_new_tokens": 48, "temperature": 0.7, "seed": 3, "samples": 4}
    first, *others = four.draws
    assert first == Decoding(temperature=0.7, seed=3)
    assert first.model_dump() == {"max_new_tokens": 48, "temperature": 0.7, "seed": 3}
    assert [other.model_copy(update={"seed": 3}) for other in others] == [first] * 3
    assert Decoding(temperature=0.7, seed=3, samples=2).draws == four.draws[:2]


def test_no_seed_draws_again_what_another_has_drawn() -> None:
    several = (Decoding(temperature=1, seed=seed, samples=16) for seed in range(200))
    seeds = [draw.seed for decoding in several for draw in decoding.draws]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    # What is stored is found again by it.
    assert Decoding(temperature=1, samples=2).draws[1].seed == 1465713230085702970


def test_samples_of_what_is_shipped_are_for_the_base_to_allow() -> None:
    draws = Decoding.model_validate({"as": "shipped", "samples": 2}).draws
    assert [draw.as_ for draw in draws] == ["shipped", "shipped"]
