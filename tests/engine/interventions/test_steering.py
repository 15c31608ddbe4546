from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from coherence.engine.batch.rows import Arrangement, Push, Row, RowSteer
from coherence.engine.interventions.steering import SteeringHooks, pushes_of, stack_deltas
from coherence.engine.interventions.taps import Taps
from coherence.engine.model.host import Host
from coherence.errors import MeasurementError
from coherence.vocabulary import Tokens

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


def pushed(host: Host, rows: list[Row]) -> Tensor:
    """Residuals of rows that are packed and put under what is done to them, [blocks + 1, tokens, width]."""
    packed = [replace(row, arrangement=Arrangement.PACKED) for row in rows]
    layout = host.laid_out(packed)
    with host.switched(()), host.put(packed, layout), Taps(host.blocks, lambda hidden, depth: hidden) as taps:
        host.logits(layout)
    return taps.stacked()[0]


def steer(depth: int, axis: Tensor, share: float, delta: Tensor, tokens: Tokens = Tokens.ALL) -> RowSteer:
    return RowSteer({depth: Push(axis / axis.norm(), share, delta)}, tokens)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    depth=st.integers(0, BLOCKS),
    shares=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    tokens=st.sampled_from(Tokens),
)
def test_a_push_moves_the_component_of_its_tokens_and_nothing_else(
    host: Host, depth: int, shares: list[float], tokens: Tokens
) -> None:
    axis, delta = noise(1)[0, 0], noise(2)[0, 0]
    plain = [replace(row, answers=((len(row.ids) - 1, len(row.ids)),)) for row in ROWS]
    rows = [
        replace(row, steered=(steer(depth, axis, share, share * delta, tokens),))
        for row, share in zip(plain, shares, strict=True)
    ]
    base, moved = pushed(host, plain), pushed(host, rows)
    r = axis / axis.norm()
    first = 0
    for row, share in zip(rows, shares, strict=True):
        last = first + len(row.ids) - 1
        at = {
            Tokens.ALL: range(first, last + 1),
            Tokens.PROMPT: range(first, last),
            Tokens.REPLY: range(last - 1, last + 1),
            Tokens.ASSISTANT: range(last, last + 1),
        }[tokens]
        for token in range(first, last + 1):
            h = base[depth, token]
            expected = h - share * (h @ r) * r + share * delta if token in at else h
            assert torch.allclose(moved[depth, token], expected, atol=1e-5)
        first = last + 1
    assert torch.equal(moved[:depth], base[:depth])


def test_a_component_that_is_taken_away_is_not_there(host: Host) -> None:
    axis = noise(3)[0, 0]
    ablated = replace(ROWS[0], steered=(steer(2, axis, 1.0, torch.zeros(WIDTH)),))
    clamped = replace(ROWS[1], steered=(steer(2, axis, 1.0, 3 * axis / axis.norm()),))
    along = pushed(host, [ablated, clamped])[2] @ (axis / axis.norm())
    assert torch.allclose(along, torch.tensor([0.0] * 4 + [3.0] * 2), atol=1e-5)


def test_pushes_follow_each_other_after_what_is_added(host: Host) -> None:
    one, two, delta = (noise(seed)[0, 0] for seed in (4, 5, 6))
    first, second = steer(2, one, 1.0, torch.zeros(WIDTH)), steer(2, two, 1.0, delta)
    row = replace(ROWS[0], deltas={2: delta}, steered=(first, second))
    h = pushed(host, [replace(ROWS[0], deltas={2: delta})])[2]
    for axis, added in ((one, torch.zeros(WIDTH)), (two, delta)):
        r = axis / axis.norm()
        h = h - (h @ r)[:, None] * r + added
    # Beside a row that has the second alone.
    both = pushed(host, [replace(ROWS[1], steered=(second,)), row])[2]
    assert torch.allclose(both[len(ROWS[1].ids) :], h, atol=1e-5)


def test_what_rows_have_in_common_is_stacked_once(host: Host) -> None:
    common, own = (steer(2, noise(seed)[0, 0], 1.0, torch.ones(WIDTH)) for seed in (8, 9))
    rows = [replace(row, steered=(each,)) for row, each in zip(ROWS, (common, own, common), strict=True)]
    layout = host.laid_out([replace(row, arrangement=Arrangement.PACKED) for row in rows])
    (pushes,) = pushes_of(rows, layout)[2]
    assert (len(pushes.shares), len(pushes.places)) == (2, 9)
    hidden = torch.randn(1, 9, WIDTH)
    first, *_, last = pushes.moved(hidden)[0] - hidden[0]
    assert torch.allclose(pushes.moved(hidden)[0, 4:6], _alone(own, hidden[0, 4:6]), atol=1e-5)
    assert torch.allclose(hidden[0, 0] + first, _alone(common, hidden[0, :1])[0], atol=1e-5)
    assert torch.allclose(hidden[0, -1] + last, _alone(common, hidden[0, -1:])[0], atol=1e-5)


def _alone(steer: RowSteer, hidden: Tensor) -> Tensor:
    r = steer.pushes[2].axis
    return hidden - torch.outer(hidden @ r, r) + steer.pushes[2].delta


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_push_leaves_residuals_in_their_dtype(host: Host, dtype: torch.dtype) -> None:
    row = replace(ROWS[0], steered=(steer(1, noise(1)[0, 0], 1.0, torch.ones(WIDTH)),))
    (pushes,) = pushes_of([row], host.laid_out([replace(row, arrangement=Arrangement.PACKED)]))[1]
    hidden = torch.randn(1, 4, WIDTH)
    moved = pushes.moved(hidden.to(dtype))
    assert moved.dtype is dtype
    assert torch.allclose(moved.float(), pushes.moved(hidden), atol=0.05)


def test_no_hook_is_there_for_tokens_that_do_not_run(host: Host) -> None:
    row = replace(ROWS[0], steered=(steer(2, noise(7)[0, 0], 1.0, torch.ones(WIDTH), Tokens.ASSISTANT),))
    assert pushes_of([row], host.laid_out([replace(row, arrangement=Arrangement.PACKED)])) == {}


def test_deltas_are_stacked_with_zeros_between() -> None:
    one, two = torch.ones(WIDTH), 2 * torch.ones(WIDTH)
    stacked = stack_deltas([{3: one}, {}, {1: two, 3: two}], WIDTH)
    assert list(stacked) == [1, 3]
    assert stacked[3].mean(dim=1).tolist() == [1, 0, 2]
    assert stacked[1].mean(dim=1).tolist() == [0, 0, 2]
    assert stack_deltas([{}, {}], WIDTH) == {}
