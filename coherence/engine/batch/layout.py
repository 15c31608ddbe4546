"""How the rows of a batch lie in a forward pass: side by side with padding, or packed (see `packed.py`)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from coherence.engine.batch.rows import Row


class Layout(ABC):
    """Token ids [lines, tokens] of rows, in the order of the rows, whose values are read line after line.

    `bounds` [rows + 1]: the tokens of row i lie from `bounds[i]` to `bounds[i + 1]`, padding and a beginning
    that it shares with the rows after it among them. `starts` [rows]: token t of row i, if it is not one of a
    shared beginning, lies at `starts[i] + t`.
    """

    ids: Tensor
    positions: Tensor
    bounds: Sequence[int]
    starts: Sequence[int]
    # What `logits_to_keep` must be for the last token of every row, and no other.
    ends: int | Tensor

    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """Arguments of a forward pass."""

    @abstractmethod
    def followed(self, tokens: Sequence[Sequence[int]], kept: Sequence[int]) -> "Layout":
        """Go on with the rows `kept`, one of which may be named twice, each by its next tokens."""

    @abstractmethod
    def tails(self, counts: Sequence[int]) -> tuple[int | Tensor, Any]:
        """Return what `logits_to_keep` must be for the last `counts` tokens of the rows, one at least.

        And which of the logits [lines * kept, vocabulary] are theirs.
        """

    def attending(self) -> AbstractContextManager[object]:
        """Return what a forward pass is to be run under."""
        return nullcontext()

    def spread(self, values: Tensor) -> Tensor:
        """Give every token its row's values: from [rows, width] to [lines, tokens, width]."""
        sizes = torch.tensor(self.bounds).diff()
        return values.repeat_interleave(sizes, dim=0).view(*self.ids.shape, -1).to(self.ids.device)


class Padded(Layout):
    """A line for each row, padded on the left, with a cache that keeps every token of every layer."""

    def __init__(self, ids: Tensor, mask: Tensor, cache: Cache | None = None) -> None:
        rows, width = ids.shape
        self.ids, self.mask, self.ends = ids, mask, 1
        self.positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -width:]
        self.bounds = range(0, rows * width + 1, width)
        self.starts = [(row + 1) * width - held for row, held in enumerate(mask.sum(dim=1).tolist())]
        self._cache = cache

    @classmethod
    def of(cls, rows: Sequence[Row], pad: int, device: torch.device) -> "Padded":
        """Pad on the left, so that the last token of every row is in the last column."""
        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), pad)
        mask = torch.zeros((len(rows), width), dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, width - len(row.ids) :] = torch.tensor(row.ids)
            mask[index, width - len(row.ids) :] = True
        follows = any(row.continuations for row in rows)
        return cls(ids.to(device), mask.to(device), DynamicCache() if follows else None)

    def inputs(self) -> dict[str, Any]:
        """Arguments of a forward pass."""
        return {
            "input_ids": self.ids,
            "attention_mask": self.mask.long(),
            "position_ids": self.positions,
            "past_key_values": self._cache,
            "use_cache": self._cache is not None,
        }

    def tails(self, counts: Sequence[int]) -> tuple[int | Tensor, Any]:
        """Keep as many of every row as of the one with the most."""
        most = max(counts)
        return most, [
            most * (row + 1) - back for row, count in enumerate(counts) for back in range(count, 0, -1)
        ]

    def followed(self, tokens: Sequence[Sequence[int]], kept: Sequence[int]) -> "Padded":
        """Go on with the rows `kept`, each by its next token."""
        assert self._cache is not None
        if list(kept) != list(range(len(self.mask))):
            self._cache.batch_select_indices(torch.tensor(kept, device=self.ids.device))
        mask = self.mask[list(kept)]
        ids = torch.tensor(tokens, device=self.ids.device)
        return Padded(ids, torch.cat([mask, mask.new_ones((len(kept), 1))], dim=1), self._cache)
