"""How the rows of a batch lie in a forward pass: side by side with padding, or packed (see `packed.py`)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import Cache

from coherence.engine.batch.rows import Row
from coherence.vocabulary import Tokens


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

    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """Arguments of a forward pass."""

    @abstractmethod
    def followed(self, tokens: Sequence[Sequence[int]], kept: Sequence[int]) -> "Layout":
        """Go on with the rows `kept`, one of which may be named twice, each by its next tokens."""

    @abstractmethod
    def tails(self, counts: Sequence[int] | None) -> tuple[dict[str, Any], Any]:
        """Return what a model is told to give logits for the last `counts` tokens of the rows, one at least.

        And which of the logits [lines * kept, vocabulary] that it gives are theirs. Without counts it is the
        last token of every row that has one in this pass.
        """

    def attending(self) -> AbstractContextManager[object]:
        """Return what a forward pass is to be run under."""
        return nullcontext()

    def places(self, index: int, row: Row, tokens: Tokens) -> list[int]:
        """Return where the tokens of a kind of a row lie, those that run in this pass, line after line."""
        start, end = self.starts[index], self.bounds[index + 1]
        first = max(start, self.bounds[index])
        if tokens is Tokens.ALL:
            return list(range(first, end))
        ahead = int(tokens is Tokens.REPLY)
        answered = {
            place
            for since, until in row.answers
            for place in range(max(first, start + since - ahead), min(end, start + until))
        }
        return [place for place in range(first, end) if (place in answered) != (tokens is Tokens.PROMPT)]

    def spread(self, values: Tensor) -> Tensor:
        """Give every token its row's values: from [rows, width] to [lines, tokens, width]."""
        sizes = torch.tensor(self.bounds).diff()
        return values.repeat_interleave(sizes, dim=0).view(*self.ids.shape, -1).to(self.ids.device)


class Padded(Layout):
    """A line for each row, padded on the left; `past` is the cache to go on from, as the model calls it."""

    def __init__(self, ids: Tensor, mask: Tensor, past: Mapping[str, Cache]) -> None:
        rows, width = ids.shape
        self.ids, self.mask = ids, mask
        self.positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -width:]
        self.bounds = range(0, rows * width + 1, width)
        self.starts = [(row + 1) * width - held for row, held in enumerate(mask.sum(dim=1).tolist())]
        self._past = past

    @classmethod
    def of(
        cls, rows: Sequence[Row], pad: int, device: torch.device, past: Mapping[str, Cache] | None = None
    ) -> "Padded":
        """Pad on the left, so that the last token of every row is in the last column."""
        width = max(len(row.ids) for row in rows)
        ids = torch.full((len(rows), width), pad)
        mask = torch.zeros((len(rows), width), dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, width - len(row.ids) :] = torch.tensor(row.ids)
            mask[index, width - len(row.ids) :] = True
        return cls(ids.to(device), mask.to(device), past or {})

    def inputs(self) -> dict[str, Any]:
        """Arguments of a forward pass."""
        return {
            "input_ids": self.ids,
            "attention_mask": self.mask.long(),
            "position_ids": self.positions,
            **self._past,
            "use_cache": bool(self._past),
        }

    def tails(self, counts: Sequence[int] | None) -> tuple[dict[str, Any], Any]:
        """Keep as many of every row as of the one with the most."""
        most = max(counts or [1])
        if counts is None:
            return {"logits_to_keep": most}, slice(None)
        return {"logits_to_keep": most}, [
            most * (row + 1) - back for row, count in enumerate(counts) for back in range(count, 0, -1)
        ]

    def followed(self, tokens: Sequence[Sequence[int]], kept: Sequence[int]) -> "Padded":
        """Go on with the rows `kept`, each by its next token."""
        if list(kept) != list(range(len(self.mask))):
            chosen: Any = torch.tensor(kept, device=self.ids.device)
            for cache in self._past.values():
                # The one way to choose rows that layers with states know, too.
                cache.reorder_cache(chosen)
        mask = self.mask[list(kept)]
        ids = torch.tensor(tokens, device=self.ids.device)
        return Padded(ids, torch.cat([mask, mask.new_ones((len(kept), 1))], dim=1), self._past)


class Alone(Padded):
    """A single row by itself, run as a plain call of the model runs it: it is told of the token ids alone."""

    def inputs(self) -> dict[str, Any]:
        """Return the arguments of a forward pass."""
        return {"input_ids": self.ids, "use_cache": False}

    def tails(self, counts: Sequence[int] | None) -> tuple[dict[str, Any], Any]:
        """Take the last of all logits."""
        (count,) = counts or [1]
        return {}, slice(-count, None)
