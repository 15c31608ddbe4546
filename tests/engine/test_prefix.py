from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coherence.engine.forward import next_tokens, residuals
from coherence.engine.generation import Asked, replies
from coherence.engine.host import Host
from coherence.engine.prefix import shared_lengths
from coherence.engine.rows import Row
from coherence.vocabulary import Decoding

TOLERANCE = 1e-5  # float32, relative to the largest value of the row

tokens = st.lists(st.integers(4, 300), min_size=1, max_size=6).map(tuple)
group_of_rows = st.tuples(tokens, st.lists(tokens, min_size=1, max_size=3), st.booleans())


@pytest.fixture(scope="module")
def host(tiny):
    return Host.load(tiny, "float32")


def rows_of(host, groups):
    """Rows of several groups, each with a beginning of its own; every second group is steered."""
    delta = torch.linspace(-1, 1, host.width)
    return [
        Row(
            (*head, *tail),
            (),
            {2: delta} if steered else {},
            span=(len(head) + len(tail) - 1, len(head) + len(tail)),
            group=index,
        )
        for index, (head, tails, steered) in enumerate(groups)
        for tail in tails
    ]


def alone(rows):
    return [replace(row, group=None) for row in rows]


@pytest.mark.parametrize("measure", [residuals, next_tokens])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(group_of_rows, min_size=1, max_size=3))
def test_sharing_a_beginning_changes_no_number(host, measure, groups):
    rows = rows_of(host, groups)
    shared = {id(row): value for row, value in measure(host, rows)}
    for row, value in zip(rows, (shared[id(row)] for row in rows), strict=True):
        ((_, expected),) = measure(host, alone([row]))
        assert (value - expected).abs().max() <= TOLERANCE * expected.abs().max()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=st.lists(group_of_rows, min_size=1, max_size=3))
def test_sharing_a_beginning_changes_no_reply(host, groups):
    asked = [
        Asked(**vars(row), decoding=Decoding(max_new_tokens=5, temperature=1.0, seed=3))
        for row in rows_of(host, groups)
    ]
    shared = {id(row): text for row, text in replies(host, asked)}
    for row in asked:
        assert [text for _, text in replies(host, alone([row]))] == [shared[id(row)]]


def test_what_is_read_is_never_shared():
    first, second = (
        Row((1, 2, 3, 4), (), {}, span=(1, 4), group=0),
        Row((1, 2, 3, 5), (), {}, span=(3, 4), group=0),
    )
    assert shared_lengths([first, second]) == {0: 1}


def test_every_row_keeps_a_token_to_run():
    same = [Row((1, 2, 3), (), {}, group=0), Row((1, 2, 3), (), {}, group=0)]
    assert shared_lengths(same) == {0: 2}


def test_rows_without_a_group_share_nothing():
    assert shared_lengths([Row((1, 2), (), {}), Row((1, 2), (), {})]) == {}
