"""Rows of a batch: one prompt each, packed by length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from coherence.engine.adapters import Weights
from coherence.engine.steering import Deltas


@dataclass(frozen=True, eq=False)
class Row:
    """Token ids and what is done to the model while they run. Rows of one batch share their adapters.

    `span` is the run of tokens (first, one past the last; counted from 0) that a reading averages over.
    """

    ids: tuple[int, ...]
    adapters: Weights
    deltas: Deltas
    span: tuple[int, int] = (0, 0)
    label: str = ""

    def over(self, first: int, end: int) -> "Row":
        """Return the same row, read over another span."""
        return replace(self, span=(first, end))


RowKind = TypeVar("RowKind", bound=Row)


def batches(rows: Sequence[RowKind], tokens: int, rows_at_most: int) -> Iterator[list[RowKind]]:
    """Pack rows of equal adapters and similar length; a batch, padded, stays within the token budget."""
    batch: list[RowKind] = []
    for row in sorted(rows, key=lambda row: (row.adapters, len(row.ids))):
        full = len(batch) == rows_at_most or (len(batch) + 1) * len(row.ids) > tokens
        if batch and (full or row.adapters != batch[0].adapters):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@dataclass(frozen=True)
class Padded:
    """A left-padded batch: `ids` and `mask` are [rows, tokens]."""

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
        return (self.mask.cumsum(dim=1) - 1).clamp(min=0)

    def inputs(self) -> dict[str, Tensor]:
        """Arguments of a forward pass."""
        return {"input_ids": self.ids, "attention_mask": self.mask.long(), "position_ids": self.positions}
