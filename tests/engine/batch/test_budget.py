from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from coherence.engine.batch.budget import ROWS, TALKS, Budget, Outcomes
from coherence.engine.batch.rows import Continuation, Exchange, Row, Span, size
from coherence.errors import MeasurementError, UnforeseenError
from coherence.vocabulary import Decoding

Batches = list[list[Row]]
Run = Callable[[list[Row]], Iterator[tuple[Any, Any]]]


@st.composite
def many_rows(draw: st.DrawFn) -> list[Row]:
    """Rows of some kinds and lengths, each wanting something by a name of its own."""
    kinds = draw(st.lists(st.tuples(st.integers(1, 20), st.sampled_from("slr"), st.booleans()), max_size=12))
    return [made(index, *kind) for index, kind in enumerate(kinds)]


def made(index: int, length: int, wants: str = "s", switched: bool = False) -> Row:
    return Row(
        ids=(1,) * length,
        switched=(("a", 1.0),) if switched else (),
        group=index % 2,
        label=f"probe {index}",
        spans={index: Span(0, length, 0), (index, "b"): Span(0, 1, 0)} if wants == "s" else {},
        log_probs=index if wants == "l" else None,
        continuations=(Continuation(Decoding(max_new_tokens=5), (Exchange(index),)),) if wants == "r" else (),
    )


def runs(batches: Batches, at_most: int = ROWS, shortage: Callable[[], Any] = lambda: None) -> Run:
    """A run that has no memory for more rows than that: it notices late, and keeps what it held."""

    def run(batch: list[Row]) -> Iterator[tuple[Any, Any]]:
        for row in batch[:at_most]:
            yield from ((name, row) for name in row.outputs)
        if len(batch) > at_most:
            shortage()
        batches.append(batch)

    return run


def by_torch() -> Any:
    """What really happens on a CPU: more is asked for than there are addresses."""
    return torch.empty(1 << 60, dtype=torch.uint8)


def by_cuda() -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def by_python() -> Any:
    return bytearray(1 << 62)


def by_message(message: str) -> Callable[[], Any]:
    """What a device that is not at hand says: only the words are known, so only they are made up."""

    def shortage() -> Any:
        raise RuntimeError(message)

    return shortage


SHORTAGES = [
    by_torch,
    by_cuda,
    by_python,
    by_message("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    by_message("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    by_message("MPS backend out of memory (MPS allocated: 9.05 GB, other allocations: 1.2 GB)"),
]


def wanted(rows: list[Row]) -> list[tuple[Any, Row]]:
    return [(name, row) for row in rows for name in row.outputs]


def sorted_by_name(found: Any) -> list[tuple[Any, Any]]:
    return sorted(found, key=lambda pair: str(pair[0]))


@given(rows=many_rows(), tokens=st.integers(1, 80))
def test_every_row_is_run_once_within_the_budget_beside_rows_that_are_alike(
    rows: list[Row], tokens: int
) -> None:
    batches: Batches = []
    found = list(Budget(pytest.fail, tokens).spend(rows, runs(batches)))
    assert sorted_by_name(found) == sorted_by_name(wanted(rows))
    assert sorted(map(id, (row for batch in batches for row in batch))) == sorted(map(id, rows))
    for batch in batches:
        assert len({(row.switched, row.wants_logits) for row in batch}) == 1
        assert len(batch) == 1 or size(batch) <= tokens


def test_a_batch_has_only_so_many_rows() -> None:
    batches: Batches = []
    list(Budget(pytest.fail).spend([made(index, 1) for index in range(2 * ROWS)], runs(batches)))
    assert [len(batch) for batch in batches] == [ROWS, ROWS]


@pytest.mark.parametrize("shortage", SHORTAGES)
@given(rows=many_rows(), at_most=st.integers(1, 4))
def test_out_of_memory_loses_and_repeats_nothing(shortage: Any, rows: list[Row], at_most: int) -> None:
    batches: Batches = []
    warnings: list[str] = []
    budget = Budget(warnings.append, 400)
    found = list(budget.spend(rows, runs(batches, at_most, shortage)))
    assert sorted_by_name(found) == sorted_by_name(wanted(rows))
    assert all(len(batch) <= at_most for batch in batches)
    assert bool(warnings) == (budget.tokens < 400)


def test_out_of_memory_halves_and_says_so() -> None:
    batches: Batches = []
    warnings: list[str] = []
    budget = Budget(warnings.append)
    list(budget.spend([made(index, 10) for index in range(8)], runs(batches, 2, by_torch)))
    assert [len(batch) for batch in batches] == [2, 2, 2, 2]
    assert budget.tokens == 10
    assert warnings == [
        "out of memory with 8 rows of up to 10 tokens; going on with half",
        "out of memory with 4 rows of up to 10 tokens; going on with half",
    ]


@pytest.mark.parametrize("shortage", SHORTAGES)
def test_a_row_that_memory_does_not_hold_is_an_error_for_all_that_is_wanted_of_it(shortage: Any) -> None:
    small, large = made(0, 10), made(1, 99)

    def run(batch: list[Row]) -> Iterator[tuple[Any, Any]]:
        if large in batch:
            shortage()
        yield from wanted(batch)

    found = dict(Budget(lambda sentence: None).spend([small, large], run))
    assert found.keys() == {0, (0, "b"), 1, (1, "b")}
    assert (found[0], found[0, "b"]) == (small, small)
    for name in large.outputs:
        assert isinstance(found[name], MeasurementError)
        assert str(found[name]) == "out of memory with 99 tokens alone, for probe 1"


def test_what_one_group_raises_is_no_error_of_another() -> None:
    batches: Batches = []

    def run(batch: list[Row]) -> Iterator[tuple[Any, Any]]:
        batches.append(batch)
        if any(row.group == 1 for row in batch):
            torch.ones(2, 3) @ torch.ones(2, 3)
        yield from ((name, row.label) for row in batch for name in row.outputs)

    found = dict(Budget(pytest.fail).spend([made(index, 1) for index in range(4)], run))
    assert [len(batch) for batch in batches] == [4, 2, 2]
    assert (found[0], found[2]) == ("probe 0", "probe 2")
    for index in (1, 3):
        said = str(found[index])
        assert "raised RuntimeError: mat1 and mat2 shapes cannot be multiplied" in said
        assert said.endswith(f"; for probe {index}")
        assert isinstance(found[index, "b"], UnforeseenError)


def test_an_error_that_is_a_sentence_stays_what_it_is() -> None:
    problem = MeasurementError("a hook did not fire")

    def run(batch: list[Row]) -> Iterator[tuple[Any, Any]]:
        raise problem

    assert dict(Budget(pytest.fail).spend([made(0, 1, "l")], run)) == {0: problem}


def test_nothing_is_run_of_nothing() -> None:
    assert list(Budget(pytest.fail).spend([], runs([]))) == []


def test_conversations_make_larger_batches() -> None:
    def talk(index: int) -> Row:
        turns = (Exchange(index), Exchange((index, 2), before=(1, 2)))
        return Row((1,) * 10, continuations=(Continuation(Decoding(max_new_tokens=5), turns),))

    batches: list[int] = []

    def run(batch: list[Row]) -> Outcomes:
        batches.append(len(batch))
        return [(name, 0) for row in batch for name in row.outputs]

    assert talk(0).tokens == 22
    list(Budget(pytest.fail, tokens=44).spend(map(talk, range(7)), run))
    assert batches == [2 * TALKS, 1]


def many_samples() -> Row:
    drawn = (Continuation(Decoding(max_new_tokens=5), (Exchange(f"reply {index}"),)) for index in range(8))
    return Row(ids=(1,) * 10, spans={"span": Span(0, 1, 0)}, continuations=tuple(drawn))


def test_samples_of_one_prompt_are_run_within_the_budget() -> None:
    batches: Batches = []
    row = many_samples()
    assert dict(Budget(pytest.fail, 60).spend([row], runs(batches))).keys() == set(row.outputs)
    assert [size(batch) for batch in batches] == [60, 60]


def test_samples_that_memory_does_not_hold_together_are_halved() -> None:
    batches: Batches = []
    warnings: list[str] = []
    row = many_samples()

    def run(batch: list[Row]) -> Iterator[tuple[Any, Any]]:
        if any(len(one.continuations) > 2 for one in batch):
            by_torch()
        return runs(batches)(batch)

    assert dict(Budget(warnings.append).spend([row], run)).keys() == set(row.outputs)
    assert [len(one.continuations) for batch in batches for one in batch] == [2, 2, 2, 2]
    assert len(warnings) == 3
