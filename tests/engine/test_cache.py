from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import DynamicCache

from coherence.engine.cache import STRIDE, empty_cache, select_shifted, shifted

LAYERS, HEADS, WIDTHS = 2, 2, (3, 5)

# An update by so many tokens, or a selection of rows by fractions of how many there are.
updates = st.integers(1, STRIDE + 3)
selections = st.lists(st.floats(0, 0.99), min_size=1, max_size=5)
histories = st.lists(st.one_of(updates, selections), max_size=8)


def states(rows: int, tokens: int) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of every layer; the widths of the two differ in some families."""
    keys, values = ([torch.randn(rows, HEADS, tokens, width) for _ in range(LAYERS)] for width in WIDTHS)
    return list(zip(keys, values, strict=True))


def update(cache: Any, new: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    return [held for layer, pair in enumerate(new) for held in cache.update(*pair, layer)]


def same(these: list[Tensor], those: list[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(these, those, strict=True))


@given(rows=st.integers(1, 4), first=updates, history=histories)
def test_it_is_the_cache_of_transformers(rows: int, first: int, history: list[Any]) -> None:
    ours, theirs = empty_cache(), DynamicCache()
    for step in [first, *history]:
        if isinstance(step, int):
            new = states(rows, step)
            assert same(update(ours, new), update(theirs, new))
        else:
            kept = torch.tensor([int(share * rows) for share in step])
            rows = len(kept)
            ours.batch_select_indices(kept)
            theirs.batch_select_indices(kept)
        assert ours.get_seq_length() == theirs.get_seq_length()
        assert ours.get_mask_sizes(1, 0) == theirs.get_mask_sizes(1, 0)


@given(first=updates, steps=st.lists(updates, min_size=1, max_size=4))
def test_what_was_returned_before_is_not_written_to(first: int, steps: list[int]) -> None:
    cache = empty_cache()
    returned = [update(cache, states(2, tokens)) for tokens in [first, *steps]]
    last = returned[-1]
    for earlier in returned:
        assert same(earlier, [held[:, :, : part.shape[2]] for held, part in zip(last, earlier, strict=True)])


def test_a_row_that_moved_is_followed_by_its_own_tokens() -> None:
    cache = empty_cache()
    first, second, third = states(3, 4), states(3, 1), states(3, 1)
    for new in (first, second):
        update(cache, new)
    order = [2, 0, 1]
    cache.batch_select_indices(torch.tensor(order))
    held = update(cache, third)
    whole = [
        torch.cat([one[order], two[order], three], dim=2)
        for triple in zip(first, second, third, strict=True)
        for one, two, three in zip(*triple, strict=True)
    ]
    assert same(held, whole)


def test_a_step_of_decoding_copies_nothing() -> None:
    cache = empty_cache()
    update(cache, states(2, 7))
    places = {update(cache, states(2, 1))[0].data_ptr() for _ in range(STRIDE)}
    assert len(places) == 1


def test_a_cache_that_is_read_once_holds_no_room() -> None:
    held = update(empty_cache(), states(2, 7))
    assert all(part.untyped_storage().nbytes() == part.nbytes for part in held)


@pytest.mark.parametrize("dim", [1, 2])
@given(shift=st.lists(st.integers(0, 7), min_size=1, max_size=4), length=st.integers(1, 6))
def test_shifting_moves_to_the_right_and_fills_with_zeros(dim: int, shift: list[int], length: int) -> None:
    values = torch.randn(len(shift), *[2] * (dim - 1), length, 3)
    moved = shifted(values, torch.tensor(shift), dim)
    for row, by in enumerate(shift):
        # Rows lose their first dimension here.
        expected = torch.zeros_like(values[row])
        if by < length:
            expected.narrow(dim - 1, by, length - by).copy_(values[row].narrow(dim - 1, 0, length - by))
        assert torch.equal(moved[row], expected)


@given(shift=st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_a_shifted_selection_goes_on_at_the_end(shift: list[int]) -> None:
    cache, new = empty_cache(), states(2, 4)
    update(cache, new)
    rows, by = torch.tensor([index % 2 for index in range(len(shift))]), torch.tensor(shift)
    select_shifted(cache, rows, by)
    more = states(len(shift), 2)
    expected = [
        torch.cat([shifted(held[rows], by, 2), added], dim=2)
        for pairs in zip(new, more, strict=True)
        for held, added in zip(*pairs, strict=True)
    ]
    assert same(update(cache, more), expected)
