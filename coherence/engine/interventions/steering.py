"""The steering regime: deltas added to the residual stream while a forward pass runs."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from coherence.engine.batch.rows import Deltas
from coherence.engine.interventions.hooks import Hooks


class SteeringHooks(Hooks):
    """Add `deltas[depth]`, float [lines, tokens, width] or what broadcasts to it; `Site.depth` is the key."""

    name: ClassVar[str] = "steering"
    # So that a tap at the same site sees the steered residual whatever was hooked before.
    first: ClassVar[bool] = True

    def __init__(self, blocks: nn.ModuleList, deltas: Deltas) -> None:
        super().__init__(blocks, {depth: partial(_added, delta) for depth, delta in deltas.items()})


def _added(delta: Tensor, hidden: Tensor) -> Tensor:
    return hidden + delta.to(hidden)


def stack_deltas(rows: Sequence[Deltas], width: int) -> dict[int, Tensor]:
    """Stack the deltas of rows ([width] each): {depth: [rows, width]}, zero where a row has none."""
    depths = sorted({depth for row in rows for depth in row})
    zero = torch.zeros(width)
    return {depth: torch.stack([row.get(depth, zero) for row in rows]) for depth in depths}
