"""Activation capping: what lies beyond a bound along an axis is taken away while a forward pass runs."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from coherence.engine.batch.layout import Layout
from coherence.engine.batch.rows import AxisCap, Row
from coherence.engine.interventions.hooks import Hooks

# Tokens, counted line after line, and the bound of each.
Bounds = Sequence[tuple[int, AxisCap]]


class CappingHooks(Hooks):
    """h <- h - max(0, h.v - t) v at some tokens of each depth (arXiv 2601.10387).

    Enter it after any `Steering` and `Patching`, whose doing it bounds.
    """

    name: ClassVar[str] = "a cap"

    def __init__(self, blocks: nn.ModuleList, bounds: Mapping[int, Bounds]) -> None:
        super().__init__(blocks, {depth: partial(_capped, *_stacked(of)) for depth, of in bounds.items()})


def bounds_of(rows: Sequence[Row], layout: Layout) -> dict[int, Bounds]:
    """Map depths to the tokens of a layout that are bounded there, but for tokens that do not run now."""
    by_depth: dict[int, list[tuple[int, AxisCap]]] = {}
    for index, row in enumerate(rows):
        if row.capped is None:
            continue
        places = layout.places(index, row, row.capped.tokens)
        for depth, bound in row.capped.bounds.items():
            by_depth.setdefault(depth, []).extend((place, bound) for place in places)
    return {depth: of for depth, of in by_depth.items() if of}


def _stacked(bounds: Bounds) -> tuple[Tensor, Tensor, Tensor]:
    places = torch.tensor([token for token, _ in bounds])
    axes = torch.stack([bound.axis for _, bound in bounds])
    return places, axes, torch.tensor([bound.at for _, bound in bounds])


def _capped(places: Tensor, axes: Tensor, ats: Tensor, hidden: Tensor) -> Tensor:
    at, v = places.to(hidden.device), axes.to(hidden.device)
    flat = hidden.flatten(0, 1)
    residuals = flat[at].float()
    beyond = ((residuals * v).sum(dim=-1) - ats.to(hidden.device)).clamp_min(0)
    return flat.index_copy(0, at, (residuals - beyond[:, None] * v).to(hidden)).view_as(hidden)
