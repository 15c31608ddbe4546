from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coherence.engine.batch.rows import (
    Arrangement,
    Continuation,
    Exchange,
    Mean,
    Push,
    Row,
    RowCap,
    RowSteer,
    Span,
    Weights,
    fit_together,
    in_order,
    size,
)
from coherence.vocabulary import Decoding, Tokens

stacks: st.SearchStrategy[Weights] = st.sampled_from([(), (("a", 1.0),), (("a", 0.5),), (("b", 1.0),)])
rows = st.builds(
    Row,
    ids=st.lists(st.integers(1, 99), min_size=1, max_size=20).map(tuple),
    adapters=stacks,
    switched=stacks,
    group=st.sampled_from([None, "one", "two"]),
    log_probs=st.sampled_from([None, "scores"]),
    arrangement=st.sampled_from(Arrangement),
)


def asked(name: str, tokens: int, **means: Mean) -> Continuation:
    return Continuation(Decoding(max_new_tokens=tokens), (Exchange(name, means),))


def kind(row: Row) -> tuple[object, ...]:
    return row.switched, row.arrangement, row.wants_logits, row.group


@given(given=st.lists(rows, max_size=12))
def test_order_brings_together_what_can_run_together(given: list[Row]) -> None:
    ordered = in_order(given)
    assert sorted(map(id, ordered)) == sorted(map(id, given))
    kinds = [kind(row) for row in ordered]
    changes = sum(one != other for one, other in pairwise(kinds))
    assert changes == max(0, len(set(kinds)) - 1)
    for one, other in pairwise(ordered):
        if kind(one) == kind(other):
            assert len(one.ids) <= len(other.ids)


@given(batch=st.lists(rows, min_size=1, max_size=5), row=rows, tokens=st.integers(1, 80))
def test_rows_fit_together_when_they_are_alike_and_even_and_within_the_budget(
    batch: list[Row], row: Row, tokens: int
) -> None:
    lengths = [len(member.ids) for member in [*batch, row]]
    even = row.packed or max(lengths) <= 2 * min(lengths)
    alike = kind(row)[:3] == kind(batch[0])[:3]
    small = size([*batch, row]) <= tokens and len(batch) < 5
    alone = row.arrangement is Arrangement.ALONE
    assert fit_together(batch, row, tokens, 5) == (alike and even and small and not alone)


def test_the_size_of_a_padded_batch_is_that_of_its_longest_row_for_each() -> None:
    assert size([Row((1,) * 3, continuations=(asked("reply", 2),)), Row((1,) * 5)]) == 10


def test_rows_that_are_only_read_weigh_half() -> None:
    assert size([Row((1,) * 3), Row((1,) * 5)]) == 5
    assert (
        size([Row((1,) * 3, arrangement=Arrangement.PACKED), Row((1,) * 4, arrangement=Arrangement.PACKED)])
        == 4
    )


def test_the_size_of_a_packed_batch_is_its_tokens_and_what_is_shared_once() -> None:
    batch = [
        Row((1,) * 9, group="one", arrangement=Arrangement.PACKED, shared=7),
        Row(
            (1,) * 8,
            group="one",
            arrangement=Arrangement.PACKED,
            shared=7,
            continuations=(asked("reply", 5),),
        ),
        Row((1,) * 4, group="two", arrangement=Arrangement.PACKED, shared=3),
        Row((1,) * 6, arrangement=Arrangement.PACKED),
    ]
    assert size(batch) == (7 + 2 + 1 + 5) + (3 + 1) + 6


def test_a_row_above_the_budget_has_a_batch_of_its_own() -> None:
    long = Row((1,) * 50)
    assert fit_together([], long, 10, 5)
    assert not fit_together([long], long, 40, 5)


def test_adapters_by_row_do_not_part_rows_and_switched_ones_do() -> None:
    by_row, switched = Row((1,), adapters=(("a", 1.0),)), Row((1,), switched=(("a", 1.0),))
    assert fit_together([by_row], Row((1,)), 10, 5)
    assert not fit_together([switched], Row((1,)), 10, 5)


def test_what_is_read_first_is_a_span_or_the_last_token() -> None:
    assert Row((1, 2, 3)).first_read == 2
    assert Row((1, 2, 3), spans={"one": Span(1, 2, 4), "two": Span(2, 3, 4)}).first_read == 1
    assert Row((1, 2, 3), log_probs="scores", continuations=(asked("reply", 5),)).first_read == 2


def test_all_that_is_wanted_is_named() -> None:
    row = Row(
        (1, 2, 3),
        spans={"one": Span(0, 1, 4), "two": Span(1, 3, 2)},
        log_probs="scores",
        continuations=(asked("reply", 5, mean=Mean(4), other=Mean(2)), asked("longer", 9)),
    )
    assert row.outputs == ["one", "two", "scores", "reply", "mean", "other", "longer"]
    assert Row((1,)).outputs == []


def test_logits_are_wanted_for_scores_and_replies_alone() -> None:
    assert not Row((1,), spans={"one": Span(0, 1, 4)}).wants_logits
    assert Row((1,), log_probs="scores").wants_logits
    assert Row((1,), continuations=(asked("reply", 5),)).wants_logits


def test_tokens_are_those_of_all_its_replies() -> None:
    assert Row((1, 2, 3)).tokens == 3
    row = Row((1, 2, 3), continuations=(asked("reply", 5), asked("longer", 9)))
    assert row.tokens == 3 + 5 + 3 + 9
    assert row.longest == 3 + 9


def test_what_is_taken_back_is_not_said_any_more() -> None:
    row = Row((1, 2), capped=RowCap({}, Tokens.ASSISTANT), answers=((4, 7), (9, 12)))
    assert row.taken_back(11).answers == ((4, 7), (9, 11))
    assert row.taken_back(9).answers == ((4, 7), (9, 9))
    assert row.taken_back(9).followed(9, 10).answers == ((4, 7), (9, 10))


@pytest.mark.parametrize("tokens", [one for one in Tokens if one is not Tokens.ALL])
def test_an_answer_begins_before_its_first_token(tokens: Tokens) -> None:
    row = Row((1, 2), steered=(RowSteer({}, tokens),), answers=((2, 2),))
    assert row.followed(2, 3).followed(3, 4).answers == ((2, 4),)
    assert row.followed(2, 3).followed(6, 6).answers == ((2, 3), (6, 6))


def test_who_says_what_is_followed_only_where_it_matters() -> None:
    row = Row((1, 2), steered=(RowSteer({}),), capped=RowCap({}), answers=((2, 2),))
    assert row.followed(2, 3) is row


def test_nothing_steers_beyond_the_depth_that_is_read() -> None:
    push = Push(torch.ones(2), 1.0, torch.zeros(2))
    row = Row((1,), steered=(RowSteer({1: push, 3: push}, Tokens.REPLY),))
    (steer,) = row.through(2).steered
    assert list(steer.pushes) == [1]
    assert steer.tokens is Tokens.REPLY


@given(row=rows, lengths=st.lists(st.integers(1, 20), max_size=6), tokens=st.integers(1, 80))
def test_a_row_with_more_continuations_than_the_budget_holds_is_several(
    row: Row, lengths: list[int], tokens: int
) -> None:
    whole = replace(
        row,
        spans={"span": Span(0, 1, 0)},
        continuations=tuple(asked(f"reply {index}", length) for index, length in enumerate(lengths)),
    )
    parts = whole.within(tokens)
    assert [name for part in parts for name in part.outputs] == whole.outputs
    assert [one for part in parts for one in part.continuations] == list(whole.continuations)
    assert {part.ids for part in parts} == {whole.ids}
    for part in parts:
        assert part.tokens <= tokens or len(part.continuations) <= 1
    if whole.tokens <= tokens:
        assert parts == [whole]
