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
    other = row.over(1, 3)
    assert (other.span, row.span) == ((1, 3), (0, 0))
    assert (other.ids, other.adapters, other.deltas, other.label) == (row.ids, row.adapters, row.deltas, "probe")
