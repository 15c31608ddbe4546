"""Attention of packed rows: the one place where tokens see each other, put in place of transformers' own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedConfig

NAME = "coherence_packed"

Attend = Callable[[int, Tensor, Tensor, Tensor, float], Tensor]
"""From layer, queries [heads, tokens, width], keys and values [key heads, tokens, width] and scale to values
[tokens, heads, width]."""

Give = Callable[[int, Tensor, Tensor], None]
"""Changes keys and values [key heads, tokens, width] of a layer where they lie."""

# Scores of one step; more rows than that are taken in turn.
_SCORES = 1 << 24
# What families tell their attention that changes nothing here: rows that pack are shorter than any window.
_HARMLESS = frozenset({"sliding_window", "position_ids", "cache_position", "use_cache", "output_attentions"})
# Transformers looks attention up by its name, for all models: this tells it of the rows of this pass.
_running: ContextVar[Attend] = ContextVar("running")
_giving: ContextVar[Give] = ContextVar("giving", default=lambda layer, keys, values: None)


@contextmanager
def giving(give: Give) -> Iterator[None]:
    """Let keys and values be changed before packed rows attend to them."""
    token = _giving.set(give)
    try:
        yield
    finally:
        _giving.reset(token)


@contextmanager
def attending(configs: Sequence[PreTrainedConfig], attend: Attend) -> Iterator[None]:
    """Let the forward passes of a model with these configs (see `configs_of`) attend by `attend`."""
    before = [config._attn_implementation for config in configs]
    token = _running.set(attend)
    try:
        # Parts of a model (text, vision) may read configs of their own.
        for config in configs:
            config._attn_implementation = NAME
        yield
    finally:
        for config, implementation in zip(configs, before, strict=True):
            config._attn_implementation = implementation
        _running.reset(token)


def configs_of(model: nn.Module) -> list[PreTrainedConfig]:
    """Every config that a module of the model reads, once."""
    configs = (getattr(module, "config", None) for module in model.modules())
    return list({id(config): config for config in configs if isinstance(config, PreTrainedConfig)}.values())


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float | None = None,
    **settings: object,
) -> tuple[Tensor, None]:
    # Capped scores, sinks, biases or a mask would change what is seen: a family that asks for any is padded.
    told = {name for name, told in settings.items() if isinstance(told, Tensor) or told} - _HARMLESS
    if told or mask is not None:
        raise NotImplementedError(f"attention with {', '.join(sorted(told)) or 'a mask'}")
    layer, scale = int(module.layer_idx), scaling or query.shape[-1] ** -0.5  # type: ignore[arg-type]
    _giving.get()(layer, key[0], value[0])
    return _running.get()(layer, query[0], key[0], value[0], scale)[None], None


# No mask is registered beside it, so that transformers makes none.
AttentionInterface.register(NAME, _attention)


def causal(queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """Attention of one sequence to itself, each token to those up to it: [heads, tokens, width]."""
    times = len(queries) // len(keys)
    keys, values = keys.repeat_interleave(times, dim=0), values.repeat_interleave(times, dim=0)
    return scaled_dot_product_attention(queries[None], keys[None], values[None], is_causal=True, scale=scale)[
        0
    ]


def joint(
    queries: Tensor, shared: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor], visible: Tensor, scale: float
) -> Tensor:
    """Attention of rows to all tokens of a beginning that they share, and to `visible` ones of their own.

    `queries` [heads, rows, tokens, width]; keys and values, `shared` [key heads, tokens, width] and `own`
    [key heads, rows, tokens, width]; `visible` bool [rows, tokens, own tokens]. Returns
    [rows, tokens, heads, width].
    """
    heads, rows, tokens, width = queries.shape
    row = heads * tokens * (shared[0].shape[1] + own[0].shape[2])
    step = max(1, _SCORES // row)
    if step < rows:
        parts = [
            joint(
                queries[:, at : at + step],
                shared,
                (own[0][:, at : at + step], own[1][:, at : at + step]),
                visible[at : at + step],
                scale,
            )
            for at in range(0, rows, step)
        ]
        return torch.cat(parts)
    # One softmax over both parts, and the products apart: a beginning's keys and values need not be copied to
    # every row, and are read once for all its rows.
    times = heads // len(own[0])
    # Query heads of one key head are queries more of that head: no key and no value is copied for them.
    queried = queries.view(-1, times, rows, tokens, width).transpose(1, 2).flatten(2, 3) * scale
    seen = visible[:, None].expand(-1, times, -1, -1).flatten(1, 2)
    # The least number and not -inf: a place without a token may see nothing, and a softmax of nothing is NaN.
    scores = (queried @ own[0].transpose(2, 3)).masked_fill(~seen, torch.finfo(queried.dtype).min)
    begun = shared[0].shape[1]
    if begun:
        before = queried.flatten(1, 2) @ shared[0].transpose(1, 2)
        scores = torch.cat([before.view(*scores.shape[:3], begun), scores], dim=-1)
    # In fp32, as transformers' own attention does it: half precision would round many small weights away.
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(queried.dtype)
    attended = weights[..., begun:] @ own[1]
    if begun:
        attended += (weights[..., :begun].flatten(1, 2) @ shared[1]).view_as(attended)
    return attended.view(-1, rows, times, tokens, attended.shape[-1]).permute(1, 3, 0, 2, 4).flatten(2, 3)
