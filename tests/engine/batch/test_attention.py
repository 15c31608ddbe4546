import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from coherence.engine.batch import attention
from coherence.engine.batch.attention import NAME, attending, causal, configs_of, joint
from coherence.engine.model.host import Host

TOLERANCE = 1e-5
IDS = torch.tensor([[5, 9, 40, 41]])
sizes = st.integers(1, 4)


def states(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def plain(queries: Tensor, keys: Tensor, values: Tensor, visible: Tensor, scale: float) -> Tensor:
    """Attention of one row by torch: [heads, tokens, width]."""
    times = len(queries) // len(keys)
    return scaled_dot_product_attention(
        queries, keys.repeat_interleave(times, 0), values.repeat_interleave(times, 0), visible, scale=scale
    )


@given(heads=sizes, times=sizes, tokens=sizes)
def test_a_sequence_attends_to_what_came_before(heads: int, times: int, tokens: int) -> None:
    queries, keys, values = (
        states(heads * times, tokens, 4),
        states(heads, tokens, 4),
        states(heads, tokens, 5),
    )
    visible = torch.ones(tokens, tokens).tril().bool()
    expected = plain(queries, keys, values, visible, 0.3)
    assert torch.allclose(causal(queries, keys, values, 0.3), expected, atol=TOLERANCE)


@pytest.mark.parametrize("step", [1, 1 << 24], ids=["one row at a time", "all rows at once"])
@given(
    heads=sizes,
    times=sizes,
    rows=sizes,
    tokens=sizes,
    shared=st.integers(0, 3),
    own=sizes,
    seed=st.integers(0, 9),
)
def test_rows_attend_to_what_they_share_and_to_what_is_visible_of_their_own(
    step: int, heads: int, times: int, rows: int, tokens: int, shared: int, own: int, seed: int
) -> None:
    queries = states(heads * times, rows, tokens, 4)
    before = states(heads, shared, 4), states(heads, shared, 5)
    kept = states(heads, rows, own, 4), states(heads, rows, own, 5)
    visible = torch.rand(rows, tokens, own, generator=torch.Generator().manual_seed(seed)) < 0.5
    visible[..., 0] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "_SCORES", step)
        found = joint(queries, before, kept, visible, 0.3)
    assert found.shape == (rows, tokens, heads * times, 5)
    for row in range(rows):
        keys, values = (
            torch.cat([one, other[:, row]], dim=1) for one, other in zip(before, kept, strict=True)
        )
        seen = torch.cat([torch.ones(tokens, shared, dtype=torch.bool), visible[row]], dim=1)
        expected = plain(queries[:, row], keys, values, seen, 0.3)
        assert torch.allclose(found[row].transpose(0, 1), expected, atol=TOLERANCE)


def test_a_row_of_nan_stays_alone() -> None:
    queries, own = states(2, 2, 3, 4), (states(1, 2, 3, 4), states(1, 2, 3, 4))
    own[1][:, 0] = torch.nan
    empty = states(1, 0, 4), states(1, 0, 4)
    found = joint(queries, empty, own, torch.ones(2, 3, 3).tril().bool(), 0.3)
    assert not found[0].isfinite().any()
    assert found[1].isfinite().all()


def test_attention_is_replaced_inside_alone(host: Host) -> None:
    seen: list[int] = []

    def attend(layer: int, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        seen.append(layer)
        return causal(queries, keys, values, scale).transpose(0, 1)

    before = host.model.config._attn_implementation
    with host.switched(()):
        expected = host.model(input_ids=IDS).logits
        with attending(configs_of(host.model), attend):
            assert host.model.config._attn_implementation == NAME
            found = host.model(input_ids=IDS, use_cache=False).logits
        with pytest.raises(ZeroDivisionError), attending(configs_of(host.model), attend):
            _ = 1 / 0
        assert torch.equal(host.model(input_ids=IDS).logits, expected)
    assert torch.allclose(found, expected, atol=TOLERANCE)
    assert seen == list(range(len(host.blocks)))
    assert host.model.config._attn_implementation == before


@pytest.mark.parametrize("told", [{"softcap": 20.0}, {"s_aux": torch.ones(2)}, {"sliding_window": 16}])
def test_attention_that_is_told_of_more_is_refused(told: dict[str, object]) -> None:
    layer = torch.nn.Module()
    layer.layer_idx = 0
    call = states(1, 2, 3, 4)
    with attending([], lambda *given: given[1].transpose(0, 1)):
        if "sliding_window" in told:
            attention._attention(layer, call, call, call, None, scaling=0.3, **told)
            return
        with pytest.raises(NotImplementedError, match=next(iter(told))):
            attention._attention(layer, call, call, call, None, scaling=0.3, **told)
