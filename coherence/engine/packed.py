"""The packed layout: all rows in one line, without padding, and what rows of a group share is there once."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from coherence.engine.attention import attending, causal, joint
from coherence.engine.layout import Layout
from coherence.engine.rows import Row

# Tokens that room is made for at a time: a larger stride wastes memory, a smaller one copies more often.
STRIDE = 32


_KNOWN = {"full_attention", "sliding_attention", "chunked_attention"}


def window(config: PreTrainedConfig) -> float:
    """Tokens within which every token sees all before it; 0 when some layers do more than attend."""
    if {*(getattr(config, "layer_types", None) or ())} - _KNOWN:
        return 0
    sizes = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return min((size for size in sizes if size), default=inf)


class Packed(Layout):
    """One line: for each group of rows what they share, then what is each row's own.

    A token sees those before it in its own row. All that a model does to a token alone it does as ever; only
    attention is ours. Keys and values are kept while rows go on, a shared beginning's once for all its rows.
    """

    def __init__(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> None:
        self._model = model
        self._groups = _groups(rows, device)
        lengths = [length for group in self._groups for length in group.lengths]
        self.bounds = list(accumulate(lengths, initial=0))
        self.starts = [end - len(row.ids) for end, row in zip(self.bounds[1:], rows, strict=True)]
        self.ends = torch.tensor(self.bounds[1:], device=device) - 1
        self._counts = [len(row.ids) for row in rows]
        self._layers: dict[int, list[_Kept]] | None = {} if any(row.asked for row in rows) else None
        ids = [ids for group in self._groups for ids in group.ids]
        positions = [position for group in self._groups for position in group.positions]
        self.ids = torch.tensor([ids], device=device)
        self.positions = torch.tensor([positions], device=device)

    def inputs(self) -> dict[str, Any]:
        """Arguments of a forward pass."""
        return {"input_ids": self.ids, "position_ids": self.positions, "use_cache": False}

    def attending(self) -> AbstractContextManager[object]:
        """Return what a forward pass is to be run under."""
        return attending(self._model, self._attend)

    def followed(self, tokens: Sequence[int], kept: Sequence[int]) -> "_Step":
        """Go on with the rows `kept`, each by its next token."""
        assert self._layers is not None
        memory = _Memory(self._layers, [group.present for group in self._groups])
        return _Step(self._model, memory, self._counts, tokens, kept)

    def _attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        found = queries.new_empty(queries.shape[1], len(queries), values.shape[2])
        kept = []
        for group in self._groups:
            head = slice(group.first, group.first + group.shared)
            shared = keys[:, head], values[:, head]
            if group.shared:
                found[head] = causal(queries[:, head], *shared, scale).transpose(0, 1)
            places = group.places.to(queries.device)
            own = keys[:, places], values[:, places]
            rests = joint(queries[:, places], shared, own, group.visible.to(queries.device), scale)
            here = group.present.to(queries.device)
            found[places[here]] = rests[here]
            if self._layers is not None:
                # Copied, so that the keys and values of the whole line can go.
                kept.append(_Kept((shared[0].clone(), shared[1].clone()), *map(_Growing, own)))
        if self._layers is not None:
            self._layers[layer] = kept
        return found


class _Step(Layout):
    """One token of each row that goes on; all before it is in memory."""

    ends = 0

    def __init__(
        self,
        model: nn.Module,
        memory: "_Memory",
        counts: Sequence[int],
        tokens: Sequence[int],
        kept: Sequence[int],
    ) -> None:
        self._model, self._memory = model, memory
        self._counts = [counts[row] + 1 for row in kept]
        if list(kept) != list(range(len(counts))):
            memory.keep(kept)
        memory.expect()
        device = memory.visible[0].device
        self.ids = torch.tensor([tokens], device=device)
        self.positions = torch.tensor([self._counts], device=device) - 1
        self.bounds = range(len(tokens) + 1)
        self.starts = [place - count + 1 for place, count in enumerate(self._counts)]

    def inputs(self) -> dict[str, Any]:
        """Arguments of a forward pass."""
        return {"input_ids": self.ids, "position_ids": self.positions, "use_cache": False}

    def attending(self) -> AbstractContextManager[object]:
        """Return what a forward pass is to be run under."""
        return attending(self._model, self._memory.attend)

    def followed(self, tokens: Sequence[int], kept: Sequence[int]) -> "_Step":
        """Go on with the rows `kept`, each by its next token."""
        return _Step(self._model, self._memory, self._counts, tokens, kept)


@dataclass
class _Memory:
    """Keys and values of all tokens so far, by layer and group; `visible` [rows, own tokens] by group."""

    layers: dict[int, list["_Kept"]]
    visible: list[Tensor]

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows, counted over all groups; one of them may be named twice."""
        bounds = list(accumulate(map(len, self.visible), initial=0))
        chosen = [[row - first for row in rows if first <= row < end] for first, end in pairwise(bounds)]
        self.visible = [seen[rows] for seen, rows in zip(self.visible, chosen, strict=True) if rows]
        for layer, groups in self.layers.items():
            self.layers[layer] = [group.of(rows) for group, rows in zip(groups, chosen, strict=True) if rows]

    def expect(self) -> None:
        """Make the next token of every row visible to itself."""
        self.visible = [torch.cat([seen, seen.new_ones(len(seen), 1)], dim=1) for seen in self.visible]

    def attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """Attend one new token of every row to all that came before it."""
        found, first = [], 0
        for kept, visible in zip(self.layers[layer], self.visible, strict=True):
            here = slice(first, first := first + len(visible))
            own = kept.keys.followed(keys[:, here, None]), kept.values.followed(values[:, here, None])
            seen = visible[:, None].to(queries.device)
            found.append(joint(queries[:, here, None], kept.shared, own, seen, scale)[:, 0])
        return torch.cat(found)


@dataclass(frozen=True, eq=False)
class _Group:
    """Rows with a beginning of `shared` tokens, which lies at `first` and is followed by their rests.

    `places` [rows, tokens]: where the rests lie, all ending in the last column; `present` tells where there
    is one. `visible` [rows, tokens, tokens]: which tokens of its own row a token sees.
    """

    rows: Sequence[Row]
    first: int
    shared: int
    places: Tensor
    present: Tensor
    visible: Tensor

    @property
    def ids(self) -> Iterator[int]:
        """Token ids in the order in which they lie."""
        yield from self.rows[0].ids[: self.shared]
        for row in self.rows:
            yield from row.ids[self.shared :]

    @property
    def positions(self) -> Iterator[int]:
        """Position of each token in its row."""
        yield from range(self.shared)
        for row in self.rows:
            yield from range(self.shared, len(row.ids))

    @property
    def lengths(self) -> list[int]:
        """How many tokens belong to each row; the shared ones to the first."""
        rests = [len(row.ids) - self.shared for row in self.rows]
        return [self.shared + rests[0], *rests[1:]]


def _groups(rows: Sequence[Row], device: torch.device) -> list[_Group]:
    groups: list[_Group] = []
    first = 0
    for _, together in groupby(rows, key=lambda row: row.group if row.shared else None):
        groups.append(_group(list(together), first, device))
        first += sum(groups[-1].lengths)
    return groups


def _group(rows: Sequence[Row], first: int, device: torch.device) -> _Group:
    shared = rows[0].shared
    rests = torch.tensor([len(row.ids) - shared for row in rows])
    width = int(rests.max())
    columns = torch.arange(width)
    present = columns >= width - rests[:, None]
    ends = first + shared + rests.cumsum(dim=0)
    # Where a row has no token its own first one stands in, unseen: another row's NaN would spread from there.
    places = (ends[:, None] - width + columns).clamp(min=(ends - rests)[:, None])
    visible = present[:, None, :] & (columns[:, None] >= columns)
    return _Group(rows, first, shared, places.to(device), present.to(device), visible.to(device))


@dataclass
class _Kept:
    """Keys and values of a group in one layer."""

    shared: tuple[Tensor, Tensor]
    keys: "_Growing"
    values: "_Growing"

    def of(self, rows: Sequence[int]) -> "_Kept":
        """Keep these rows, one of which may be named twice."""
        return replace(self, keys=self.keys.of(rows), values=self.values.of(rows))


class _Growing:
    """States [heads, rows, tokens, width] that grow by a token at a time, into room that is made ahead."""

    def __init__(self, states: Tensor) -> None:
        self._states, self._held = states, states.shape[2]

    def followed(self, states: Tensor) -> Tensor:
        """Append [heads, rows, 1, width]; return all."""
        if self._held == self._states.shape[2]:
            heads, rows, held, width = self._states.shape
            room = self._states.new_empty(heads, rows, held + STRIDE, width)
            room[:, :, :held] = self._states
            self._states = room
        self._states[:, :, self._held] = states[:, :, 0]
        self._held += 1
        return self._states[:, :, : self._held]

    def of(self, rows: Sequence[int]) -> "_Growing":
        """Keep these rows."""
        return _Growing(self._states[:, list(rows), : self._held])
