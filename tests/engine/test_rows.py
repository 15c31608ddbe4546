import torch
from hypothesis import given
from hypothesis import strategies as st

from coherence.engine.adapters import Weights
from coherence.engine.rows import Padded, Row, batches

stacks: st.SearchStrategy[Weights] = st.sampled_from([(), (("a", 1.0),), (("a", 0.5),), (("b", 1.0),)])
rows = st.builds(
    Row,
    ids=st.lists(st.integers(1, 99), min_size=1, max_size=20).map(tuple),
    adapters=stacks,
    deltas=st.just({}),
    group=st.sampled_from([None, "one", "two"]),
)


@given(rows=st.lists(rows, max_size=12), tokens=st.integers(20, 60), at_most=st.integers(1, 5))
def test_batches_hold_every_row_once_and_keep_to_their_budget(
    rows: list[Row], tokens: int, at_most: int
) -> None:
    packed = list(batches(rows, tokens, at_most))
    assert sorted(map(id, (row for batch in packed for row in batch))) == sorted(map(id, rows))
    for batch in packed:
        assert len({row.adapters for row in batch}) == 1
        assert len(batch) <= at_most
        assert len(batch) * max(len(row.ids) for row in batch) <= tokens


def test_a_row_above_the_budget_gets_a_batch_of_its_own() -> None:
    short, long = Row((1,), (), {}), Row((1,) * 50, (), {})
    assert list(batches([long, short], 10, 5)) == [[short], [long]]


@given(rows=st.lists(rows, min_size=1, max_size=5))
def test_padding_is_on_the_left_and_does_not_count(rows: list[Row]) -> None:
    padded = Padded.of(rows, 7, torch.device("cpu"))
    for index, row in enumerate(rows):
        gap = padded.ids.shape[1] - len(row.ids)
        assert padded.ids[index].tolist() == [7] * gap + list(row.ids)
        assert padded.mask[index].tolist() == [False] * gap + [True] * len(row.ids)
        assert padded.positions[index].tolist() == [0] * gap + list(range(len(row.ids)))


def test_the_same_row_over_another_span() -> None:
    row = Row((1, 2, 3), (("a", 1.0),), {0: torch.ones(2)}, label="probe")
    assert row.span == (0, 0)
    assert vars(row.over(1, 3)) == vars(row) | {"span": (1, 3)}


def test_rows_of_a_group_lie_beside_each_other() -> None:
    rows = [Row((1,) * length, (), {}, group=group) for length, group in enumerate("abab", start=1)]
    assert [row.group for batch in batches(rows, 8, 2) for row in batch] == ["a", "a", "b", "b"]


def test_a_row_is_cut_and_keeps_its_condition() -> None:
    row = Row((1, 2, 3), (("a", 1.0),), {}, group="one")
    assert row.cut(1, 3).ids == (2, 3)
    assert (row.cut(1, 3).adapters, row.cut(1, 3).group) == (row.adapters, "one")


def test_what_is_read_first_is_the_span_or_the_last_token() -> None:
    row = Row((1, 2, 3), (), {})
    assert row.first_read == 2
    assert row.over(1, 2).first_read == 1


def test_a_batch_goes_on_with_the_rows_that_are_kept() -> None:
    rows = [Row(ids, (), {}) for ids in [(1, 2, 3), (4,), (5, 6)]]
    padded = Padded.of(rows, 0, torch.device("cpu"))
    after = padded.followed([8, 9], [1, 2])
    assert after.ids.tolist() == [[8], [9]]
    assert after.mask.tolist() == [[False, False, True, True], [False, True, True, True]]
    assert after.positions.tolist() == [[1], [2]]
    assert after.present.tolist() == [[True], [True]]
