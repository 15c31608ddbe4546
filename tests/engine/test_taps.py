from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from coherence.engine.host import Host
from coherence.engine.rows import Row
from coherence.engine.taps import Taps, mean_over, median_norm
from coherence.errors import MeasurementError

IDS = torch.tensor([[5, 9, 40, 41], [7, 8, 60, 3]])


def test_the_depths_are_those_of_hidden_states_up_to_the_final_norm(host: Host) -> None:
    with torch.inference_mode(), Taps(host.blocks, lambda hidden: hidden) as taps:
        own = host.model(input_ids=IDS, output_hidden_states=True).hidden_states
        stacked = taps.stacked()
        assert torch.equal(stacked[:, :-1], torch.stack(own[:-1], dim=1))
        assert torch.equal(host.core.norm(stacked[:, -1]), own[-1])


def test_leaving_removes_the_hooks_also_after_an_exception(host: Host) -> None:
    with pytest.raises(ZeroDivisionError), Taps(host.blocks, lambda hidden: hidden):
        _ = 1 / 0
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in host.blocks)


def test_a_tap_that_never_fired_is_an_error(host: Host) -> None:
    with Taps(host.blocks, lambda hidden: hidden) as taps:
        host.model.model.layers = host.blocks[:2]
        host.core(input_ids=IDS)
    with pytest.raises(MeasurementError, match="the tap at depth 3 never fired"):
        taps.stacked()


def of_norms(*rows: list[float]) -> Tensor:
    """Tokens [rows, tokens, 2] along the first axis, with these norms."""
    return torch.tensor(rows)[..., None] * torch.tensor([1.0, 0.0])


def chosen(*rows: list[int]) -> Tensor:
    return torch.tensor(rows).bool()


ALL = chosen([1, 1, 1, 1], [1, 1, 1, 1])


def test_a_mean_is_over_the_chosen_tokens_of_each_row() -> None:
    hidden = of_norms([1, 2, 3, 6], [10, 20, 30, 40])
    mean = mean_over(chosen([0, 1, 1, 0], [0, 0, 1, 1]), ALL)(hidden)
    assert mean[:, 0].tolist() == [2.5, 35]


def test_a_mean_leaves_the_sink_out() -> None:
    hidden = of_norms([5000, 1, 3, 2], [1, 2, 3, 6])
    assert mean_over(ALL, ALL)(hidden)[:, 0].tolist() == [2, 3]


def test_a_hundred_times_the_median_is_no_sink_yet() -> None:
    hidden = of_norms([1, 1, 1, 100], [1, 1, 1, 100.5])
    assert mean_over(ALL, ALL)(hidden)[:, 0].tolist() == [103 / 4, 1]


def test_the_median_is_over_all_tokens_that_are_there_and_not_over_padding() -> None:
    # Over the span alone the sink would be its own median; with padding any token would be a sink.
    hidden = of_norms([0, 0, 0, 0, 0, 7, 8, 6], [1, 1, 1, 1, 1, 1, 2, 900])
    present = chosen([0, 0, 0, 0, 0, 1, 1, 1], [1] * 8)
    mean = mean_over(chosen([0, 0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 0, 1, 1]), present)(hidden)
    assert mean[:, 0].tolist() == [7, 2]


def test_a_span_of_sinks_alone_is_read_as_it_is() -> None:
    hidden = of_norms([5000, 1, 3, 2], [1, 2, 3, 6])
    assert mean_over(chosen([1, 0, 0, 0], [1, 0, 0, 0]), ALL)(hidden)[:, 0].tolist() == [5000, 1]


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_no_sink_but_an_error_to_be_found(odd: float) -> None:
    hidden = of_norms([1, 2, 4, 3], [1, 2, 3, 6])
    hidden[0, 2, 0] = odd
    mean = mean_over(ALL, ALL)(hidden)
    assert mean.isfinite().all(dim=1).tolist() == [False, True]


def test_padding_that_is_not_finite_is_not_read() -> None:
    mean = mean_over(chosen([0, 0, 1, 1]), chosen([0, 1, 1, 1]))(of_norms([torch.nan, 1, 2, 4]))
    assert mean[:, 0].tolist() == [3]


def test_a_mean_of_bfloat16_is_float32() -> None:
    mean = mean_over(chosen([1] * 3), chosen([1] * 3))(of_norms([256, 3, 3]).bfloat16())
    assert mean.dtype == torch.float32
    assert mean[0, 0].item() == pytest.approx(262 / 3)


def test_a_median_norm_leaves_padding_and_the_first_token_out() -> None:
    hidden = of_norms([0, 900, 3, 5, 4], [700, 1, 2, 3, 9])
    medians = median_norm(chosen([0, 1, 1, 1, 1], [1, 1, 1, 1, 1]))(hidden)
    assert medians.tolist() == [[4], [2]]


def test_rows_of_a_batch_are_read_each_on_its_own(host: Host, every_token: Callable[..., Tensor]) -> None:
    rows = [Row((5, 9, 40, 41), (), {}), Row((7, 8, 60, 3), (), {})]
    together = every_token(rows)
    alone = torch.cat([every_token([row]) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)
