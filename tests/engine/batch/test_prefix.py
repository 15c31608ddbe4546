from hypothesis import given
from hypothesis import strategies as st

from coherence.engine.batch.prefix import with_shared
from coherence.engine.batch.rows import Row, Span

tokens = st.lists(st.integers(1, 3), min_size=1, max_size=6).map(tuple)
rows = st.lists(st.builds(Row, ids=tokens, group=st.sampled_from([None, "a", "b"])), max_size=8)


def shared(*rows: Row) -> list[int]:
    return [row.shared for row in with_shared(rows)]


@given(rows=rows)
def test_what_a_group_shares_begins_every_row_of_it_and_leaves_each_a_token(rows: list[Row]) -> None:
    for row, found in zip(rows, with_shared(rows), strict=True):
        mates = [mate for mate in rows if mate.group == row.group]
        assert found.ids == row.ids
        assert all(mate.ids[: found.shared] == row.ids[: found.shared] for mate in mates)
        assert found.shared < min(len(mate.ids) for mate in mates)
        assert found.shared == 0 or row.group is not None


def test_a_common_beginning_is_shared_within_its_group_alone() -> None:
    rows = [Row((5, 6, 7, 8), group="a"), Row((5, 1, 2), group="b"), Row((5, 6, 7, 9), group="a")]
    assert shared(*rows) == [3, 0, 3]


def test_what_is_read_is_never_shared() -> None:
    rows = [
        Row((1, 2, 3, 4), group=0, spans={"one": Span(1, 4, 4)}),
        Row((1, 2, 3, 5), group=0, spans={"two": Span(3, 4, 4)}),
    ]
    assert shared(*rows) == [1, 1]


def test_every_row_keeps_a_token_to_run() -> None:
    assert shared(Row((1, 2, 3), group=0), Row((1, 2, 3), group=0)) == [2, 2]


def test_rows_without_a_group_share_nothing() -> None:
    assert shared(Row((1, 2)), Row((1, 2))) == [0, 0]
