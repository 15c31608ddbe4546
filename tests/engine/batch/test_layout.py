from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coherence.engine.batch.layout import Padded
from coherence.engine.batch.packed import Packed
from coherence.engine.batch.rows import Continuation, Exchange, Row
from coherence.engine.model.host import Host
from coherence.vocabulary import Decoding, Tokens

CPU = torch.device("cpu")
ONE = (Continuation(Decoding(max_new_tokens=1), (Exchange("reply"),)),)
rows = st.lists(
    st.lists(st.integers(1, 99), min_size=1, max_size=20).map(lambda ids: Row(tuple(ids))),
    min_size=1,
    max_size=5,
)


@given(rows=rows)
def test_padding_is_on_the_left_and_does_not_count(rows: list[Row]) -> None:
    padded = Padded.of(rows, 7, CPU)
    for index, row in enumerate(rows):
        gap = padded.ids.shape[1] - len(row.ids)
        assert padded.ids[index].tolist() == [7] * gap + list(row.ids)
        assert padded.mask[index].tolist() == [False] * gap + [True] * len(row.ids)
        assert padded.positions[index].tolist() == [0] * gap + list(range(len(row.ids)))


@given(rows=rows)
def test_tokens_of_a_row_lie_where_it_starts(rows: list[Row]) -> None:
    padded = Padded.of(rows, 0, CPU)
    for start, end, row in zip(padded.starts, padded.bounds[1:], rows, strict=True):
        assert padded.ids.flatten()[start:end].tolist() == list(row.ids)


@given(rows=rows)
def test_every_token_has_the_values_of_its_row(rows: list[Row]) -> None:
    padded = Padded.of(rows, 0, CPU)
    spread = padded.spread(torch.arange(2 * len(rows)).view(-1, 2))
    assert spread.shape == (*padded.ids.shape, 2)
    assert all(
        (spread[index] == torch.tensor([2 * index, 2 * index + 1])).all() for index in range(len(rows))
    )


SAID = Row((1, 2, 3, 4, 5, 6, 7), answers=((2, 4), (6, 7)))


@pytest.mark.parametrize(
    ("tokens", "places"),
    [
        (Tokens.ALL, [0, 1, 2, 3, 4, 5, 6]),
        (Tokens.ASSISTANT, [2, 3, 6]),
        (Tokens.PROMPT, [0, 1, 4, 5]),
        (Tokens.REPLY, [1, 2, 3, 5, 6]),
    ],
)
def test_tokens_are_found_by_who_says_them(tokens: Tokens, places: list[int]) -> None:
    longer = Row(tuple(range(1, 10)))
    padded = Padded.of([longer, SAID], 0, CPU)
    assert [place - padded.starts[1] for place in padded.places(1, SAID, tokens)] == places
    packed = Packed.of((), [longer, SAID], CPU)
    assert [place - len(longer.ids) for place in packed.places(1, SAID, tokens)] == places


@pytest.mark.parametrize("tokens", Tokens)
def test_an_answer_that_begins_next_is_chosen_from_the_last_token(tokens: Tokens) -> None:
    row = Row((1, 2, 3), answers=((3, 3),))
    last = 2 in Padded.of([row], 0, CPU).places(0, row, tokens)
    assert last == (tokens is not Tokens.ASSISTANT)


def test_of_a_shared_beginning_each_token_belongs_to_the_first_row() -> None:
    rows = [replace(Row((1, 2, 3, last), group="one", answers=((2, 4),)), shared=3) for last in (4, 5)]
    packed = Packed.of((), rows, CPU)
    found = [packed.places(index, row, Tokens.ASSISTANT) for index, row in enumerate(rows)]
    assert found == [[2, 3], [4]]


def test_a_batch_goes_on_with_the_rows_that_are_kept(host: Host) -> None:
    padded = Padded.of([Row(ids, continuations=ONE) for ids in [(1, 2, 3), (4,), (5, 6)]], 0, CPU)
    with host.switched(()):
        host.core(**padded.inputs())
    after = padded.followed([[8], [9]], [1, 2])
    assert after.ids.tolist() == [[8], [9]]
    assert after.mask.tolist() == [[False, False, True, True], [False, True, True, True]]
    assert after.positions.tolist() == [[1], [2]]
