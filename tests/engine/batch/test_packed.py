from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig

from coherence.engine.batch.packed import Packed, window
from coherence.engine.batch.prefix import with_shared
from coherence.engine.batch.rows import Arrangement, Continuation, Exchange, Mean, Row, Span
from coherence.engine.model.host import Host
from coherence.errors import MeasurementError
from coherence.vocabulary import Decoding

TOLERANCE = 1e-5  # float32, relative to the largest value of the row
SAMPLED = Decoding(max_new_tokens=40, temperature=1.0, seed=3)
CPU = torch.device("cpu")

tokens = st.lists(st.integers(4, 300), min_size=1, max_size=6).map(tuple)
# A beginning, how the rows go on from it, and whether they are steered and under an adapter.
groups_of_rows = st.lists(
    st.tuples(tokens, st.lists(tokens, min_size=1, max_size=3), st.booleans(), st.booleans()),
    min_size=1,
    max_size=3,
)


def laid_out(*rows: Row) -> Packed:
    return Packed.of([], with_shared(rows), CPU)


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
            continuations=(
                Continuation(
                    SAMPLED, (Exchange((index, place, "reply"), {(index, place, "mean"): Mean(4)}),)
                ),
            ),
        )
        for index, (head, tails, steered, adapted) in enumerate(groups)
        for place, tail in enumerate(tails)
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(groups=groups_of_rows)
@example(groups=[((4,), [(4,)], False, False), ((206, 289), [(13, 256, 226, 245, 10, 89)], False, True)])
def test_packed_rows_that_share_give_what_single_padded_ones_give(
    host: Host, tiny_adapter: Callable[..., Path], measure: Callable[..., dict[Any, Any]], groups: list[Any]
) -> None:
    if not host.by_row((("pirate", 1.0),)):
        host.mount("pirate", tiny_adapter("pirate"))
    rows = rows_of(groups)
    assert host.packs > 0
    packed = measure(host, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "packs", 0)
        for row in rows:
            for name, expected in measure(host, [replace(row, group=None)]).items():
                if name[-1] == "reply":
                    assert packed[name] == expected
                elif isinstance(expected, MeasurementError):
                    assert str(packed[name]) == str(expected)
                else:
                    assert (packed[name] - expected).abs().max() <= TOLERANCE * expected.abs().max()


def test_a_common_beginning_is_there_once_and_no_padding_is() -> None:
    rows = [
        Row((5, 6, 7, 8), group="a"),
        Row((5, 6, 7, 9, 10), group="a"),
        Row((5, 1, 2), group="b"),
        Row((5, 3)),
        Row((6,)),
    ]
    packed = laid_out(*rows)
    assert packed.ids.tolist() == [[5, 6, 7, 8, 9, 10, 5, 1, 2, 5, 3, 6]]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 3, 4, 0, 1, 2, 0, 1, 0]]
    assert packed.bounds == [0, 4, 6, 9, 11, 12]
    assert packed.ends.tolist() == [3, 5, 8, 10, 11]
    assert packed.starts == [0, 1, 6, 9, 11]


def test_every_token_has_the_values_of_its_row_and_a_shared_one_those_of_the_first() -> None:
    packed = laid_out(Row((5, 6, 8), group="a"), Row((5, 6, 9), group="a"), Row((4,)))
    spread = packed.spread(torch.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 4.0]]))
    assert spread.tolist() == [[[1, 2], [1, 2], [1, 2], [1, 2], [3, 4]]]


def test_it_goes_on_with_the_rows_that_are_kept_at_their_next_positions(host: Host) -> None:
    asked = (Continuation(SAMPLED, (Exchange("reply"),)),)
    rows = [Row(ids, group=0, continuations=asked) for ids in [(5, 6, 7), (5, 6, 8, 9), (5, 6, 1)]]
    layout = host.laid_out(with_shared(replace(row, arrangement=Arrangement.PACKED) for row in rows))
    with host.switched(()), host.put(rows, layout):
        host.logits(layout)
    after = layout.followed([[10], [11, 12], []], [1, 2, 2])
    assert after.ids.tolist() == [[10, 11, 12]]
    assert after.positions.tolist() == [[4, 3, 4]]
    assert after.bounds == [0, 1, 3, 3]
    assert after.ends.tolist() == [0, 2]
    again = after.followed([[13]], [2])
    assert again.positions.tolist() == [[3]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, float("inf")),
        ({"sliding_window": 16}, 16),
        ({"sliding_window": 16, "attention_chunk_size": 8}, 8),
        ({"sliding_window": None}, float("inf")),
        ({"layer_types": ["full_attention", "linear_attention"]}, 0),
    ],
)
def test_rows_pack_within_the_window_of_the_model(settings: dict[str, Any], expected: float) -> None:
    config = LlamaConfig()
    for name, value in settings.items():
        setattr(config, name, value)
    assert window(config) == expected


def test_rows_beyond_the_window_are_padded(host: Host, measure: Callable[..., dict[Any, Any]]) -> None:
    ran: list[tuple[int, ...]] = []
    host.packs = 4
    host.blocks[0].register_forward_hook(lambda module, args, output: ran.append(tuple(output.shape[:2])))
    rows = [Row((5, 6, index), group=0, spans={index: Span(2, 3, 1)}) for index in (7, 8)]
    long = [Row((5, 6, 1, 1, index), group=0, spans={index: Span(4, 5, 1)}) for index in (9, 10)]
    measure(host, [*rows, *long])
    assert sorted(ran) == [(1, 4), (2, 5)]
