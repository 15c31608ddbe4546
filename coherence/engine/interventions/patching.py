"""Activation patching: residuals put in the place of those that a forward pass has at single tokens."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from coherence.engine.interventions.hooks import Hooks

# Tokens, counted line after line, and what each has in its place: [tokens, width].
Patches = tuple[Sequence[int], Tensor]


class PatchingHooks(Hooks):
    """Put residuals in place at each depth. Enter it after any `Steering`, whose doing it replaces there."""

    name: ClassVar[str] = "a patch"

    def __init__(self, blocks: nn.ModuleList, patches: Mapping[int, Patches]) -> None:
        super().__init__(blocks, {depth: partial(_put, *patch) for depth, patch in patches.items()})


def _put(tokens: Sequence[int], values: Tensor, hidden: Tensor) -> Tensor:
    places = torch.tensor(tokens, device=hidden.device)
    return hidden.flatten(0, 1).index_copy(0, places, values.to(hidden)).view_as(hidden)
