"""Rows of a batch: one prompt each, under its own condition, packed by length."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from coherence.engine.adapters import Weights
from coherence.engine.steering import Deltas
from coherence.vocabulary import Decoding


class Span(NamedTuple):
    """Tokens `first` to `end` (from 0, `end` not included), read at every depth up to `through`."""

    first: int
    end: int
    through: int


@dataclass(frozen=True, eq=False)
class Asked:
    """A reply that is wanted. `means` names the means over its tokens that are wanted, each up to a depth."""

    reply: Hashable
    decoding: Decoding
    means: Mapping[Hashable, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Row:
    """Token ids, what is done to the model while they run, and what is wanted: each by its name.

    `adapters` act on this row alone; `switched` ones, which cannot, on the whole batch, whose rows all have
    them. Rows of a `group` are under one condition, so that a common beginning need be run only once; without
    a group a row shares nothing.
    """

    ids: tuple[int, ...]
    adapters: Weights = ()
    deltas: Deltas = field(default_factory=dict)
    switched: Weights = ()
    group: Hashable = None
    label: str = ""
    spans: Mapping[Hashable, Span] = field(default_factory=dict)
    log_probs: Hashable = None
    asked: tuple[Asked, ...] = ()

    @property
    def wants_logits(self) -> bool:
        """Whether the row must be run through the whole model."""
        return self.log_probs is not None or bool(self.asked)

    @property
    def wanted(self) -> list[Hashable]:
        """Names of all that is wanted."""
        asked = [name for asked in self.asked for name in (asked.reply, *asked.means)]
        scored = [] if self.log_probs is None else [self.log_probs]
        return [*self.spans, *scored, *asked]

    @property
    def first_read(self) -> int:
        """The first token whose own activations or logits are wanted."""
        return min([len(self.ids) - 1, *(span.first for span in self.spans.values())])

    @property
    def tokens(self) -> int:
        """Tokens that its caches hold in the end."""
        return sum(len(self.ids) + asked.decoding.max_new_tokens for asked in self.asked) or len(self.ids)

    def cut(self, first: int, end: int) -> "Row":
        """Return the tokens from `first` to `end` alone, under the same condition."""
        return replace(self, ids=self.ids[first:end])

    def steered_to(self, depth: int) -> "Row":
        """Return the same row without the steering beyond a depth."""
        return replace(self, deltas={at: delta for at, delta in self.deltas.items() if at <= depth})


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Sort rows so that neighbours make good batches: alike in what must be run, in length, in condition."""
    listed = list(rows)
    longest: dict[Hashable, int] = {}
    for row in listed:
        longest[row.group] = max(longest.get(row.group, 0), len(row.ids))
    rank = {group: index for index, group in enumerate(longest)}
    return sorted(
        listed,
        key=lambda row: (
            row.switched,
            row.wants_logits,
            longest[row.group],
            rank[row.group],
            len(row.ids),
            row.tokens,
        ),
    )


def fit_together(batch: Sequence[Row], row: Row, tokens: int, at_most: int) -> bool:
    """Tell whether a row may join a batch, which, padded, is to stay within a budget of tokens."""
    if not batch:
        return True
    alike = (row.switched, row.wants_logits) == (batch[0].switched, batch[0].wants_logits)
    lengths = [len(member.ids) for member in [*batch, row]]
    # Beyond this, what padding costs exceeds what a larger batch saves.
    even = max(lengths) <= 2 * min(lengths)
    most = max(member.tokens for member in [*batch, row])
    return alike and even and len(batch) < at_most and (len(batch) + 1) * most <= tokens


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
