from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from coherence.engine.batch.rows import Row
from coherence.engine.interventions.steering import SteeringHooks, stack_deltas
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.host import Host
from coherence.errors import MeasurementError

BLOCKS, WIDTH = 4, 32
Read = Callable[[list[Row]], Tensor]


def row(*ids: int) -> Row:
    return Row(ids)


ROWS = [row(5, 9, 40, 41), row(7, 8), row(60, 3, 17)]


def noise(seed: int, rows: int = len(ROWS)) -> Tensor:
    """Deltas of rows that are padded together, [rows, 1, width]."""
    return torch.randn(rows, 1, WIDTH, generator=torch.Generator().manual_seed(seed))


def hooks(blocks: nn.ModuleList) -> list[int]:
    return [len(block._forward_hooks) + len(block._forward_pre_hooks) for block in blocks]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(depth=st.integers(0, BLOCKS), scales=st.lists(st.floats(-8, 8), min_size=3, max_size=3))
def test_every_row_moves_by_its_own_delta_at_its_site(
    host: Host, every_token: Read, depth: int, scales: list[float]
) -> None:
    deltas = noise(depth) * torch.tensor(scales)[:, None, None]
    base = every_token(ROWS)
    with SteeringHooks(host.blocks, {depth: deltas}):
        steered = every_token(ROWS)
    assert torch.equal(steered[:, :depth], base[:, :depth])
    assert torch.equal(steered[:, depth], base[:, depth] + deltas)


def test_what_is_steered_reaches_the_depths_after_it(host: Host, every_token: Read) -> None:
    base = every_token(ROWS)
    with SteeringHooks(host.blocks, {1: noise(0)}):
        steered = every_token(ROWS)
    assert (steered[:, 2:] - base[:, 2:]).abs().amax(dim=(1, 2, 3)).min() > 0.01


def test_entering_twice_steers_twice(host: Host, every_token: Read) -> None:
    delta = noise(1)
    steering = SteeringHooks(host.blocks, {0: delta, 3: delta})
    base = every_token(ROWS)[:, 0]
    with steering:
        with steering:
            twice = every_token(ROWS)[:, 0]
        once = every_token(ROWS)[:, 0]
    assert torch.equal(twice, base + delta + delta)
    assert torch.equal(once, base + delta)
    assert torch.equal(every_token(ROWS)[:, 0], base)


def test_a_tap_that_was_there_before_reads_it_at_its_own_site(host: Host) -> None:
    def read(deltas: dict[int, Tensor]) -> Tensor:
        with torch.inference_mode(), Taps(host.blocks, lambda hidden, depth: hidden) as taps:
            with SteeringHooks(host.blocks, deltas):
                host.core(input_ids=torch.tensor([[5, 9], [7, 8]]))
            return taps.stacked()

    for depth in range(BLOCKS + 1):
        delta = noise(depth, 2)
        assert torch.equal(read({depth: delta})[:, depth], read({})[:, depth] + delta)


def test_leaving_removes_the_hooks_and_no_others(host: Host) -> None:
    handle = host.blocks[2].register_forward_hook(lambda module, args, output: None)
    before = hooks(host.blocks)
    with SteeringHooks(host.blocks, {0: noise(0), 3: noise(1)}):
        assert sum(hooks(host.blocks)) == sum(before) + 2
        host.core(input_ids=torch.tensor([[5], [7], [9]]))
    assert hooks(host.blocks) == before
    handle.remove()


def test_an_exception_leaves_no_hook(host: Host) -> None:
    with pytest.raises(ZeroDivisionError), SteeringHooks(host.blocks, {0: noise(0), 3: noise(1)}):
        _ = 1 / 0
    assert sum(hooks(host.blocks)) == 0


def test_a_block_that_is_not_run_is_an_error(host: Host) -> None:
    host.model.model.layers = host.blocks[:2]
    with (
        pytest.raises(MeasurementError, match="steering at depth 3 never took effect"),
        SteeringHooks(host.blocks, {0: noise(0), 3: noise(1)}),
    ):
        host.core(input_ids=torch.tensor([[5], [7], [9]]))
    assert sum(hooks(host.blocks)) == 0


class Doubling(nn.Module):
    """A block as transformers 4 has them: it returns a tuple, and is called with a keyword."""

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, str]:
        return 2 * hidden_states, "cache"


@pytest.fixture
def old_blocks() -> nn.ModuleList:
    return nn.ModuleList([Doubling(), Doubling()])


def test_blocks_that_return_tuples(old_blocks: nn.ModuleList) -> None:
    ones = torch.ones(2, 3, WIDTH)
    delta = noise(0, 2)
    with (
        SteeringHooks(old_blocks, {0: delta, 1: 10 * delta}),
        Taps(old_blocks, lambda hidden, depth: hidden) as taps,
    ):
        hidden, cache = ones, ""
        for block in old_blocks:
            hidden, cache = block(hidden_states=hidden)
    first = ones + delta
    second = 2 * first + 10 * delta
    assert cache == "cache"
    assert torch.equal(taps.stacked(), torch.stack([first, second, 2 * second], dim=1))


def test_deltas_are_stacked_with_zeros_between() -> None:
    one, two = torch.ones(WIDTH), 2 * torch.ones(WIDTH)
    stacked = stack_deltas([{3: one}, {}, {1: two, 3: two}], WIDTH)
    assert list(stacked) == [1, 3]
    assert stacked[3].mean(dim=1).tolist() == [1, 0, 2]
    assert stacked[1].mean(dim=1).tolist() == [0, 0, 2]
    assert stack_deltas([{}, {}], WIDTH) == {}
