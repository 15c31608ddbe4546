from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coherence.engine.host import Host
from coherence.engine.prefix import begun
from coherence.engine.rows import Asked, Row, Span
from coherence.vocabulary import Decoding

TOLERANCE = 1e-5  # float32, relative to the largest value of the row
SAMPLED = Decoding(max_new_tokens=5, temperature=1.0, seed=3)

tokens = st.lists(st.integers(4, 300), min_size=1, max_size=6).map(tuple)
# A beginning, how the rows go on from it, and whether they are steered and under an adapter.
groups_of_rows = st.lists(
    st.tuples(tokens, st.lists(tokens, min_size=1, max_size=3), st.booleans(), st.booleans()),
    min_size=1,
    max_size=3,
)


@pytest.fixture
def mounted(host: Host, tiny_adapter: Callable[..., Path]) -> Host:
    host.mount("pirate", tiny_adapter("pirate"))
    return host


def rows_of(groups: list[Any]) -> list[Row]:
    """Rows of several groups, each under a condition of its own; they want scores, readings and replies."""
    return [
        Row(
            (*head, *tail),
            (("pirate", 1.0),) if adapted else (),
            {2: torch.linspace(-1, 1, 32)} if steered else {},
            group=index,
            spans={(index, place, "span"): Span(len(head), len(head) + len(tail), 3)},
            log_probs=(index, place, "scores"),
            asked=(Asked((index, place, "reply"), SAMPLED),),
        )
        for index, (head, tails, steered, adapted) in enumerate(groups)
        for place, tail in enumerate(tails)
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(groups=groups_of_rows)
def test_sharing_a_beginning_changes_nothing(
    mounted: Host, measure: Callable[..., dict[Any, Any]], groups: list[Any]
) -> None:
    rows = rows_of(groups)
    shared = measure(mounted, rows)
    for row in rows:
        for name, expected in measure(mounted, [replace(row, group=None)]).items():
            if name[-1] == "reply":
                assert shared[name] == expected
            else:
                assert (shared[name] - expected).abs().max() <= TOLERANCE * expected.abs().max()


def left(host: Host, rows: list[Row]) -> list[list[int]]:
    """Tokens that are left to run of each row."""
    with host.switched(()):
        padded, _ = begun(host, rows)
    return [ids[mask].tolist() for ids, mask in zip(padded.ids, padded.present, strict=True)]


def test_a_common_beginning_is_run_once(host: Host) -> None:
    ran: list[tuple[int, ...]] = []
    host.blocks[0].register_forward_hook(lambda module, args, output: ran.append(tuple(output.shape[:2])))
    rows = [Row((5, 6, 7, 8), group="a"), Row((5, 6, 7, 9), group="a"), Row((5, 1, 2), group="b")]
    assert left(host, rows) == [[8], [9], [2]]
    assert ran == [(2, 3)]


def test_a_shorter_row_shares_less_so_that_no_gap_is_left(host: Host) -> None:
    rows = [Row((5, 6, 7, 1, 2, 3), group=0), Row((5, 6, 7, 4), group=0)]
    assert left(host, rows) == [[1, 2, 3], [6, 7, 4]]


def test_what_is_read_is_never_shared(host: Host) -> None:
    rows = [
        Row((1, 2, 3, 4), group=0, spans={"one": Span(1, 4, 4)}),
        Row((1, 2, 3, 5), group=0, spans={"two": Span(3, 4, 4)}),
    ]
    assert left(host, rows) == [[2, 3, 4], [2, 3, 5]]


def test_every_row_keeps_a_token_to_run(host: Host) -> None:
    assert left(host, [Row((1, 2, 3), group=0), Row((1, 2, 3), group=0)]) == [[3], [3]]


def test_rows_without_a_group_share_nothing(host: Host) -> None:
    assert left(host, [Row((1, 2)), Row((1, 2))]) == [[1, 2], [1, 2]]
