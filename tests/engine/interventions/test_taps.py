from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from coherence.engine.batch.rows import Row
from coherence.engine.interventions.taps import SINK_RATIO, Taps, median_norm, sum_over
from coherence.engine.model.host import Host
from coherence.errors import MeasurementError

IDS = torch.tensor([[5, 9, 40, 41], [7, 8, 60, 3]])


def test_the_depths_are_those_of_hidden_states_up_to_the_final_norm(host: Host) -> None:
    with torch.inference_mode(), Taps(host.blocks, lambda hidden, depth: hidden) as taps:
        own = host.model(input_ids=IDS, output_hidden_states=True).hidden_states
        stacked = taps.stacked()
        assert torch.equal(stacked[:, :-1], torch.stack(own[:-1], dim=1))
        assert torch.equal(host.core.norm(stacked[:, -1]), own[-1])


def test_leaving_removes_the_hooks_also_after_an_exception(host: Host) -> None:
    with pytest.raises(ZeroDivisionError), Taps(host.blocks, lambda hidden, depth: hidden):
        _ = 1 / 0
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in host.blocks)


def test_a_tap_that_never_fired_is_an_error(host: Host) -> None:
    with Taps(host.blocks, lambda hidden, depth: hidden) as taps:
        host.model.model.layers = host.blocks[:2]
        host.core(input_ids=IDS)
    with pytest.raises(MeasurementError, match="the tap at depth 3 never fired"):
        taps.stacked()


def of_norms(*rows: list[float]) -> Tensor:
    """Tokens [rows, tokens, 2] along the first axis, with these norms."""
    return torch.tensor(rows)[..., None] * torch.tensor([1.0, 0.0])


SINKS = SINK_RATIO * torch.tensor([2.0, 30.0])


def test_sums_are_over_each_span_of_each_row_and_counted() -> None:
    hidden = of_norms([1, 2, 3, 6], [10, 20, 30, 40])
    found = sum_over([range(1, 3), range(4), range(6, 8)], SINKS)(hidden, 0)
    assert found.tolist() == [[5, 0, 2], [12, 0, 4], [70, 0, 2]]


def test_sinks_are_left_out_and_not_counted() -> None:
    hidden = of_norms([5000, 1, 3, 2], [1, 2, 201, 6])
    found = sum_over([range(4), range(1), range(4, 8), range(6, 8)], SINKS)(hidden, 0)
    assert found.tolist() == [[6, 0, 3], [0, 0, 0], [9, 0, 3], [6, 0, 1]]


def test_a_sink_is_a_hundred_times_the_norm_of_its_own_depth() -> None:
    hidden = of_norms([1, 200, 201, 3001])
    pool = sum_over([range(4)], SINKS)
    assert pool(hidden, 0).tolist() == [[201, 0, 2]]
    assert pool(hidden, 1).tolist() == [[402, 0, 3]]


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_no_sink_but_an_error_to_be_found(odd: float) -> None:
    hidden = of_norms([1, 2, 4, 3], [1, 2, 3, 6])
    hidden[0, 2, 0] = odd
    found = sum_over([range(4), range(4, 8)], SINKS)(hidden, 0)
    assert found[:, :-1].isfinite().all(dim=1).tolist() == [False, True]
    assert found[:, -1].tolist() == [4, 4]


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
def test_what_is_not_finite_concerns_the_spans_alone_that_hold_it(odd: float) -> None:
    hidden = of_norms([odd, 1, 2, odd])
    found = sum_over([range(1, 3), range(2, 4)], SINKS)(hidden, 0)
    assert found[0].tolist() == [3, 0, 2]
    assert not found[1].isfinite().all()


def test_sums_of_bfloat16_are_float32() -> None:
    found = sum_over([range(3)], 100 * SINKS)(of_norms([256, 3, 3]).bfloat16(), 0)
    assert found.dtype == torch.float32
    assert found[0].tolist() == [262, 0, 3]


def test_a_median_norm_leaves_the_first_token_of_its_span_out() -> None:
    hidden = of_norms([0, 900, 3, 5, 4], [700, 1, 2, 3, 9])
    medians = median_norm([range(1, 5), range(5, 10)])(hidden, 0)
    assert medians.tolist() == [[4], [2.5]]


def test_the_median_of_an_even_number_of_norms_lies_between_the_middle_two() -> None:
    hidden = of_norms([7, 1, 2, 4, 8])
    assert median_norm([range(5)])(hidden, 0).tolist() == [[3]]


def test_rows_of_a_batch_are_read_each_on_its_own(host: Host, every_token: Callable[..., Tensor]) -> None:
    rows = [Row((5, 9, 40, 41)), Row((7, 8, 60, 3))]
    together = every_token(rows)
    alone = torch.cat([every_token([row]) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)
