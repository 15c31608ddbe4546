"""The steering regime: vectors added to residuals, or taken out of them, while a forward pass runs."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from coherence.engine.batch.layout import Layout
from coherence.engine.batch.rows import Deltas, Push, Row
from coherence.engine.interventions.hooks import Hooks

Spread = Callable[[Tensor], Tensor]
_Moving = tuple[Push, list[int]]
_Turn = dict[int, _Moving]


@dataclass(frozen=True, eq=False)
class Pushes:
    """Tokens [tokens], counted line after line, and which push each has of those that are stacked here.

    No token is there twice: what else is done to one comes in the next of several.
    """

    places: Tensor
    owners: Tensor
    axes: Tensor
    shares: Tensor
    deltas: Tensor

    @classmethod
    def of(cls, several: Sequence[_Moving]) -> Self:
        """Stack pushes, each with the tokens that it moves."""
        places = [place for _, of in several for place in of]
        owners = [owner for owner, (_, of) in enumerate(several) for _ in of]
        return cls(
            torch.tensor(places),
            torch.tensor(owners),
            torch.stack([push.axis for push, _ in several]),
            torch.tensor([push.share for push, _ in several]),
            torch.stack([push.delta for push, _ in several]),
        )

    def moved(self, hidden: Tensor) -> Tensor:
        """Move the tokens of residuals [lines, tokens, width]: h - share (h.r) r + delta, in float32."""
        places, owners, axes, shares, deltas = (
            values.to(hidden.device)
            for values in (self.places, self.owners, self.axes, self.shares, self.deltas)
        )
        flat, r = hidden.flatten(0, 1), axes[owners]
        residuals = flat[places].float()
        along = shares[owners] * (residuals * r).sum(dim=-1)
        moved = residuals - along[:, None] * r + deltas[owners]
        return flat.index_copy(0, places, moved.to(hidden)).view_as(hidden)


class SteeringHooks(Hooks):
    """Add `deltas[depth]`, float [lines, tokens, width] or what broadcasts to it; `Site.depth` is the key.

    With `spread`, which gives every token its row's, they are [rows, width]. Then follow `pushes[depth]`, one
    after the other.
    """

    name: ClassVar[str] = "steering"
    # So that a tap at the same site sees the steered residual whatever was hooked before.
    first: ClassVar[bool] = True

    def __init__(
        self,
        blocks: nn.ModuleList,
        deltas: Deltas,
        pushes: Mapping[int, Sequence[Pushes]] | None = None,
        spread: Spread = torch.as_tensor,
    ) -> None:
        pushes = pushes or {}
        edits = {
            depth: partial(_steered, deltas.get(depth), spread, pushes.get(depth, ()))
            for depth in dict.fromkeys([*deltas, *pushes])
        }
        super().__init__(blocks, edits)


def _steered(delta: Tensor | None, spread: Spread, pushes: Sequence[Pushes], hidden: Tensor) -> Tensor:
    if delta is not None:
        hidden = _added(spread(delta), hidden)
    for several in pushes:
        hidden = several.moved(hidden)
    return hidden


def _added(delta: Tensor, hidden: Tensor) -> Tensor:
    return hidden + delta.to(hidden)


def stack_deltas(rows: Sequence[Deltas], width: int) -> dict[int, Tensor]:
    """Stack the deltas of rows ([width] each): {depth: [rows, width]}, zero where a row has none."""
    depths = sorted({depth for row in rows for depth in row})
    zero = torch.zeros(width)
    return {depth: torch.stack([row.get(depth, zero) for row in rows]) for depth in depths}


def pushes_of(rows: Sequence[Row], layout: Layout) -> dict[int, list[Pushes]]:
    """Map depths to what else is done there to tokens of a layout that run now, in the order of each row."""
    by_depth: dict[int, list[_Turn]] = {}
    for index, row in enumerate(rows):
        done: Counter[int] = Counter()
        for steer in row.steered:
            places = layout.places(index, row, steer.tokens)
            for depth, push in steer.pushes.items() if places else ():
                turns = by_depth.setdefault(depth, [])
                if done[depth] == len(turns):
                    turns.append({})
                # Rows under one condition have the same, which is stacked once.
                turns[done[depth]].setdefault(id(push), (push, []))[1].extend(places)
                done[depth] += 1
    return {depth: [Pushes.of([*turn.values()]) for turn in turns] for depth, turns in by_depth.items()}
