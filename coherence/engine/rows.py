"""Rows of a batch: one prompt each, packed by length."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from coherence.engine.adapters import Weights
from coherence.engine.steering import Deltas


@dataclass(frozen=True, eq=False)
class Row:
    """Token ids and what is done to the model while they run. Rows of one batch share their adapters.

    `span` is the run of tokens (first, one past the last; counted from 0) that a reading averages over;
    (0, 0) is none. Rows of a `group` are under one condition, so that a common beginning need be run only
    once; without a group a row shares nothing.
    """

    ids: tuple[int, ...]
    adapters: Weights
    deltas: Deltas
    span: tuple[int, int] = (0, 0)
    label: str = ""
    group: Hashable = None

    @property
    def first_read(self) -> int:
        """The first token whose own activations or logits are wanted."""
        return self.span[0] if self.span[1] else len(self.ids) - 1

    def cut(self, first: int, end: int) -> "Row":
        """Return the tokens from `first` to `end` alone, under the same condition."""
        return replace(self, ids=self.ids[first:end])

    def over(self, first: int, end: int) -> "Row":
        """Return the same row, read over another span."""
        return replace(self, span=(first, end))


RowKind = TypeVar("RowKind", bound=Row)


def batches(rows: Sequence[RowKind], tokens: int, rows_at_most: int) -> Iterator[list[RowKind]]:
    """Pack rows of equal adapters, group by group and by length; a batch, padded, stays within its budget."""
    batch: list[RowKind] = []
    rank = {group: index for index, group in enumerate(dict.fromkeys(row.group for row in rows))}
    for row in sorted(rows, key=lambda row: (row.adapters, rank[row.group], len(row.ids))):
        longest = max(len(member.ids) for member in [*batch, row])
        full = len(batch) == rows_at_most or (len(batch) + 1) * longest > tokens
        if batch and (full or row.adapters != batch[0].adapters):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@dataclass(frozen=True)
class Padded:
    """A left-padded batch: `ids` [rows, tokens] and `mask` [rows, cached tokens + tokens]."""

    ids: Tensor
    mask: Tensor

    @classmethod
    def of(cls, rows: Sequence[Row], pad: int, device: torch.device) -> "Padded":
        """Pad on the left, so that the last token of every row is in the last column."""
        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), pad)
        mask = torch.zeros((len(rows), width), dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, width - len(row.ids) :] = torch.tensor(row.ids)
            mask[index, width - len(row.ids) :] = True
        return cls(ids.to(device), mask.to(device))

    @property
    def positions(self) -> Tensor:
        """Position ids [rows, tokens], counted from the first real token."""
        return (self.mask.cumsum(dim=1) - 1).clamp(min=0)[:, -self.ids.shape[1] :]

    @property
    def present(self) -> Tensor:
        """Which of `ids` are tokens and not padding, [rows, tokens]."""
        return self.mask[:, -self.ids.shape[1] :]

    def followed(self, tokens: Sequence[int], kept: Sequence[int]) -> "Padded":
        """Go on with the rows `kept`, each by its next token; all that came before is in the cache."""
        mask = self.mask[list(kept)]
        ids = torch.tensor(tokens, device=self.ids.device)[:, None]
        return Padded(ids, torch.cat([mask, mask.new_ones((len(kept), 1))], dim=1))

    def inputs(self) -> dict[str, Tensor]:
        """Arguments of a forward pass."""
        return {"input_ids": self.ids, "attention_mask": self.mask.long(), "position_ids": self.positions}
